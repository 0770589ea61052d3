"""Lists of an archive that is signed, changed, stale, or lies."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from envbuild.errors import IntegrityError, NetworkError, NotFoundError
from envbuild.formats.apt_sources_list import parse_lines
from envbuild.remote.debian.list_names import list_name
from envbuild.remote.debian.lists import ListMismatchError, ListSource, fetch_lists, kept_release
from envbuild.remote.debian.release import ReleaseDateError
from envbuild.remote.debian.signature import ArchiveKeys, ReleaseSignatureError
from tests.rig.signed_archive import DATE, SignedArchive, new_key, public, stanza

Fetch = Callable[..., dict[str, bytes]]


@pytest.fixture
def archive() -> Iterator[SignedArchive]:
    with SignedArchive() as running:
        running.publish(stanza("tool"))
        yield running


@pytest.fixture
def fetch(archive: SignedArchive, tmp_path: Path) -> Fetch:
    """Fetch the archive's lists; return what is in the folder, by the end of the name."""

    def run(line: str = "deb {url} rig main", *, now: datetime = DATE, key: bytes = b"") -> dict[str, bytes]:
        (source,) = parse_lines(line.format(url=archive.url))
        keys = ArchiveKeys([key or public(archive.key)])
        sources = [ListSource(source=source, keys=keys)]
        fetch_lists(sources, tmp_path / "lists", architecture="amd64", now=now)
        start = list_name(f"{archive.url}/")
        return {path.name.removeprefix(start): path.read_bytes() for path in (tmp_path / "lists").iterdir()}

    return run


@pytest.mark.parametrize("packing", ["xz", "gz", ""])
def test_lists_are_laid_out_as_apt_has_them(archive: SignedArchive, fetch: Fetch, packing: str) -> None:
    archive.publish(stanza("tool"), packing=packing)

    found = fetch()

    assert set(found) == {"dists_rig_InRelease", "dists_rig_main_binary-amd64_Packages"}
    assert found["dists_rig_main_binary-amd64_Packages"] == stanza("tool").encode()


def test_a_list_that_did_not_change_is_not_fetched_again(archive: SignedArchive, fetch: Fetch) -> None:
    fetch()
    fetch()
    assert (archive.requested("InRelease"), archive.requested("Packages.xz")) == (2, 1)

    archive.publish(stanza("tool", "2"), date=DATE + timedelta(hours=1))
    found = fetch(now=DATE + timedelta(days=1))

    assert b"Version: 2" in found["dists_rig_main_binary-amd64_Packages"]


def test_a_release_file_older_than_the_one_here_is_passed_over(archive: SignedArchive, fetch: Fetch) -> None:
    fetch()
    archive.publish(stanza("tool", "0"), date=DATE - timedelta(days=1))

    assert b"Version: 1" in fetch()["dists_rig_main_binary-amd64_Packages"]


def test_a_signature_beside_the_release_file(archive: SignedArchive, fetch: Fetch, tmp_path: Path) -> None:
    fetch()
    archive.publish(stanza("tool", "2"), detached=True)

    assert set(fetch()) == {
        "dists_rig_Release",
        "dists_rig_Release.gpg",
        "dists_rig_main_binary-amd64_Packages",
    }
    assert kept_release(archive.url, "rig", tmp_path / "lists", ArchiveKeys([public(archive.key)]))
    assert not kept_release(archive.url, "rig", tmp_path / "lists", ArchiveKeys([public(new_key())]))


def test_lists_by_their_hash(archive: SignedArchive, fetch: Fetch) -> None:
    archive.publish(stanza("tool"), fields={"Acquire-By-Hash": "yes"})
    fetch()

    by_hash, plain = [request.path for request in archive.requests if "binary" in request.path]
    assert "/by-hash/SHA256/" in by_hash
    assert plain.endswith("Packages.xz")


def test_a_flat_archive(archive: SignedArchive, fetch: Fetch) -> None:
    archive.publish(stanza("tool"), flat=True)

    assert set(fetch("deb {url} /")) == {"InRelease", "Packages"}


def test_what_an_archive_does_not_have_is_passed_over(archive: SignedArchive, fetch: Fetch) -> None:
    archive.publish(stanza("tool"), architecture="arm64")

    assert set(fetch("deb {url} rig main contrib")) == {"dists_rig_InRelease"}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), ListMismatchError),
        (lambda data: data + b"x", ListMismatchError),
    ],
)
def test_a_list_that_is_not_the_signed_one_is_refused(
    archive: SignedArchive,
    fetch: Fetch,
    change: Callable[[bytes], bytes],
    kind: type[Exception],
    tmp_path: Path,
) -> None:
    path = "/dists/rig/main/binary-amd64/Packages.xz"
    archive.files[path] = change(archive.files[path])

    with pytest.raises(kind):
        fetch()
    assert list((tmp_path / "lists").iterdir()) == []


def test_signatures(archive: SignedArchive, fetch: Fetch) -> None:
    with pytest.raises(ReleaseSignatureError):
        fetch(key=public(new_key()))
    archive.files["/dists/rig/InRelease"] += b"Suite: other\n"
    with pytest.raises(ReleaseSignatureError):
        fetch()
    archive.publish(stanza("tool"), detached=True)
    del archive.files["/dists/rig/Release.gpg"]
    with pytest.raises(ReleaseSignatureError):
        fetch()
    assert "dists_rig_Release" in fetch("deb [trusted=yes] {url} rig main")


def test_a_release_file_of_another_suite_is_refused(archive: SignedArchive, fetch: Fetch) -> None:
    archive.publish(stanza("tool"), suite="bookworm", fields={"Label": "Debian", "Codename": "buster"})
    archive.files = {path.replace("bookworm", "trixie"): data for path, data in archive.files.items()}

    with pytest.raises(ReleaseSignatureError, match="`bookworm` and `buster`, not of `trixie`"):
        fetch("deb {url} trixie main")


def test_dates(archive: SignedArchive, fetch: Fetch) -> None:
    archive.publish(stanza("tool"), fields={"Valid-Until": "Mon, 02 Nov 2026 12:00:00 UTC"})
    for now in (DATE + timedelta(days=2), DATE - timedelta(days=1)):
        with pytest.raises(ReleaseDateError):
            fetch(now=now)
    fetch("deb [check-valid-until=no] {url} rig main", now=DATE + timedelta(days=2))


def test_archives_that_are_not_there(archive: SignedArchive, fetch: Fetch, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        fetch("deb {url} nosuite main")
    with pytest.raises(NotFoundError):
        fetch(f"deb file:{tmp_path}/nowhere rig main")
    with pytest.raises(NetworkError, match="`cdrom:` addresses"):
        fetch("deb cdrom:disk rig main")
    archive.files = {"/dists/rig/InRelease": b"x" * ((1 << 24) + 1)}
    with pytest.raises(IntegrityError, match="more than"):
        fetch()
