"""What comes from a container is written where it may be, and nowhere else."""

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from envbuild.errors import CopyOutError
from envbuild.image.container_options import CopyOut
from envbuild.image.copy_out import take_all, unpack_copy


def entry(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, 7
    info.uid = info.gid = 4321
    return info


def archive_of(entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> list[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, content in entries:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return [buffer.getvalue()]


def unpack(destination: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> None:
    unpack_copy(archive_of(entries), CopyOut(path="/srv/out", destination=destination))


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("older, and longer")
    unpack(tmp_path / "file", (entry("out", mode=0o4750), b"new"))
    found = (tmp_path / "file").stat()
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (found.st_mode & 0o7777, found.st_mtime, found.st_uid) == (0o750, 7, os.geteuid())


def test_a_folder_is_joined_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/old").write_text("old")
    unpack(
        tmp_path / "there",
        (entry("out", tarfile.DIRTYPE, mode=0o555), b""),
        (entry("out/deep/new"), b"new"),
        (entry("out/same", tarfile.LNKTYPE, link="out/deep/new"), b""),
        (entry("out/link", tarfile.SYMTYPE, link="deep/../deep/new"), b""),
    )
    contents = {name: (tmp_path / "there" / name).read_text() for name in ("old", "deep/new", "same", "link")}
    assert contents == {"old": "old", "deep/new": "new", "same": "new", "link": "new"}
    assert (tmp_path / "there/link").is_symlink()


@pytest.mark.parametrize(
    "hostile",
    [
        entry("out/../../escaped"),
        entry("/../escaped"),
        entry("other/escaped"),
    ],
    ids=lambda info: info.name,
)
def test_paths_that_leave_it(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    with pytest.raises(CopyOutError):
        unpack(tmp_path / "in/here", (entry("out", tarfile.DIRTYPE, mode=0o755), b""), (hostile, b"x"))
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("link", ["/etc", "..", "../..", "a/../../.."])
def test_links_that_lead_out_are_left_out(tmp_path: Path, link: str) -> None:
    with pytest.raises(CopyOutError, match="parts of /srv/out were not copied") as raised:
        unpack(
            tmp_path / "here",
            (entry("out/link", tarfile.SYMTYPE, link=link), b""),
            (entry("out/pipe", tarfile.FIFOTYPE), b""),
            (entry("out/hard", tarfile.LNKTYPE, link="etc/passwd"), b""),
            (entry("out/file"), b"kept"),
        )
    assert sorted(problem.where for problem in raised.value.problems) == ["link", "out/hard", "out/pipe"]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["file"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here/folder").symlink_to(tmp_path / "outside")
    (tmp_path / "here/file").symlink_to(tmp_path / "outside/file")
    unpack(tmp_path / "here", (entry("out/folder/x"), b"x"), (entry("out/file"), b"x"))
    assert list((tmp_path / "outside").iterdir()) == []
    assert (tmp_path / "here/folder/x").read_text() == "x"


def test_a_link_cannot_take_the_place_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CopyOutError, match="is a folder"):
        unpack(tmp_path / "here", (entry("out/a/x"), b"x"), (entry("out/a", tarfile.SYMTYPE, link="b"), b""))


def test_what_is_no_archive(tmp_path: Path) -> None:
    for chunks in ([b"no tar" * 1000], []):
        with pytest.raises(CopyOutError):
            unpack_copy(chunks, CopyOut(path="/x", destination=tmp_path / "x"))


def test_all_are_tried_and_the_status_is_known() -> None:
    wanted = [CopyOut(path=f"/{name}", destination=Path(name)) for name in "abc"]
    tried = []

    def take(copy: CopyOut) -> None:
        tried.append(copy.path)
        if copy.path != "/b":
            raise CopyOutError(f"no {copy.path}")

    with pytest.raises(CopyOutError, match=r"^no /a$") as raised:
        take_all(wanted, take, exit_status=3)
    assert tried == ["/a", "/b", "/c"]
    assert ([str(problem) for problem in raised.value.problems], raised.value.exit_status) == (["no /c"], 3)


def test_links_that_lead_out_through_others_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(CopyOutError) as raised:
        unpack(
            tmp_path / "out",
            (entry("out/a/b/up", tarfile.SYMTYPE, link="../.."), b""),
            (entry("out/one", tarfile.SYMTYPE, link="a/b/up/.."), b""),
            (entry("out/two", tarfile.SYMTYPE, link="./a/b/up/../other"), b""),
            (entry("out/three", tarfile.SYMTYPE, link="a/b/up/a"), b""),
        )
    assert [problem.where for problem in raised.value.problems] == ["one", "two"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "three"]
