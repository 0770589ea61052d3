"""Real apt against archives that are signed, stale, tampered with, or not there."""

import os
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, NotFoundError
from envbuild.lock.model import Deb
from envbuild.remote.apt import Keyring
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.apt.system import resolve_system
from tests.rig.archive import DebianArchive, make_deb

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "data"
"""A flat archive of one package that only stands in its index; `stranger` did not sign it.

Made once by gpg: keys of type ed25519 without expiry; InRelease lists Packages and is signed by `archive`;
InRelease.expired is the same with a Valid-Until.
"""

MakeArchives = Callable[..., AptArchives]


def keyring(name: str) -> Keyring:
    return Keyring(path=f"/usr/share/keyrings/{name}.asc", content=(DATA / f"{name}.asc").read_bytes())


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    folder = tmp_path / "flat"
    shutil.copytree(DATA, folder)
    return folder


def resolve(apt: Apt, archives: AptArchives) -> tuple[Deb, ...]:
    return resolve_system(apt, archives, ["signed-demo"], installed="")


def failure(apt: Apt, archives: AptArchives) -> EnvbuildError:
    with pytest.raises(EnvbuildError) as caught:
        resolve(apt, archives)
    return caught.value


@pytest.mark.parametrize("option", ["", "[signed-by=/usr/share/keyrings/archive.asc] "], ids=["any", "named"])
def test_a_signed_archive(apt: Apt, archives_of: MakeArchives, flat: Path, option: str) -> None:
    archives = archives_of(f"deb {option}file:{flat} ./", keyrings=(keyring("stranger"), keyring("archive")))

    (deb,) = resolve(apt, archives)

    assert (deb.name, deb.size, deb.archive) == ("signed-demo", 1000, "debian-security")


@pytest.mark.parametrize(
    ("option", "keys"),
    [
        pytest.param("", ["stranger"], id="key-missing"),
        pytest.param("", [], id="no-key"),
        pytest.param(
            "[signed-by=/usr/share/keyrings/stranger.asc] ", ["stranger", "archive"], id="key-of-another"
        ),
    ],
)
def test_a_signature_by_another_key_is_refused(
    apt: Apt, archives_of: MakeArchives, flat: Path, option: str, keys: list[str]
) -> None:
    archives = archives_of(f"deb {option}file:{flat} ./", keyrings=tuple(map(keyring, keys)))

    error = failure(apt, archives)

    assert type(error) is IntegrityError
    assert str(error) == "an archive of rig is not signed by a key that is known here"
    assert error.hint
    assert "ENVBUILD_APT_KEYRING" in error.hint


def test_an_unsigned_archive_is_refused(
    apt: Apt, archives_of: MakeArchives, debian_archive: DebianArchive
) -> None:
    archives = archives_of(debian_archive.source.replace("[trusted=yes] ", ""))

    assert type(failure(apt, archives)) is IntegrityError


def test_a_changed_index_is_refused(apt: Apt, archives_of: MakeArchives, flat: Path) -> None:
    index = (flat / "Packages").read_text()
    (flat / "Packages").write_text(index.replace("1.0-1", "1.0-2"))

    error = failure(apt, archives_of(f"deb file:{flat} ./", keyrings=(keyring("archive"),)))

    assert type(error) is IntegrityError
    assert str(error) == "the package lists of rig do not match what the archive signed"


def test_an_expired_archive_is_refused_unless_dated(apt: Apt, archives_of: MakeArchives, flat: Path) -> None:
    (flat / "InRelease.expired").replace(flat / "InRelease")
    keys = (keyring("archive"),)

    error = failure(apt, archives_of(f"deb file:{flat} ./", keyrings=keys))
    dated = resolve(apt, archives_of(f"deb [check-valid-until=no] file:{flat} ./", keyrings=keys))

    assert type(error) is NetworkError
    assert str(error) == "the package lists of rig are out of date"
    assert dated[0].name == "signed-demo"


def test_a_service_that_answers_with_a_later_state_is_noticed(
    apt: Apt, archives_of: MakeArchives, flat: Path
) -> None:
    fields = {"keyrings": (keyring("archive"),)}
    line = f"deb file:{flat} ./"

    error = failure(apt, archives_of(line, snapshot=date(2023, 11, 13), **fields))
    same_day = resolve(
        Apt(flat / "c", environment=apt._environment),
        archives_of(line, snapshot=date(2023, 11, 14), **fields),
    )

    assert str(error) == "the service of dated archives answered with a later state of signed"
    assert same_day[0].name == "signed-demo"


def test_date_of_a_release(apt: Apt, archives_of: MakeArchives, flat: Path) -> None:
    archives = archives_of(f"deb file:{flat} ./", keyrings=(keyring("archive"),))

    with apt.session(archives) as session:
        assert session.release_date("signed") == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
        with pytest.raises(IntegrityError, match="no Release file of the archives says it is of suite other"):
            session.release_date("other")


def test_an_archive_that_is_not_there(
    apt: Apt, archives_of: MakeArchives, debian_archive: DebianArchive
) -> None:
    error = failure(apt, archives_of(f"deb {debian_archive.url} nosuite main"))

    assert type(error) is NotFoundError
    assert str(error) == "an archive of rig is not at the address it is looked for"


def test_a_mirror_that_is_down(apt: Apt, archives_of: MakeArchives, tmp_path: Path) -> None:
    with DebianArchive(tmp_path) as stopped:
        line = stopped.source.replace("http://", "http://user:secret@")

    error = failure(apt, archives_of(line))

    assert type(error) is NetworkError
    assert str(error) == "cannot reach the archives of rig"
    assert error.detail
    assert "refused" in error.detail
    assert "secret" not in error.detail


def test_a_mirror_that_fails_is_not_answered_by_old_lists(
    machine: dict[str, str], archives_of: MakeArchives, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    make_deb(folder, "signed-demo", "1")
    with DebianArchive(folder) as archive:
        archives = archives_of(archive.source)
        resolve(Apt(tmp_path / "cache", environment=machine), archives)

    error = failure(Apt(tmp_path / "cache", environment=machine), archives)

    assert str(error) == "cannot reach the archives of rig"


def test_lists_are_fetched_once_per_run_and_kept_for_work_offline(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive, machine: dict[str, str], tmp_path: Path
) -> None:
    make_deb(debian_archive.folder, "signed-demo", "1")
    offline = Apt(tmp_path / "cache", environment=machine, offline=True)

    with pytest.raises(NetworkError, match="the package lists of rig are not in the cache"):
        resolve(offline, rig)
    first = resolve(apt, rig)
    asked = len(debian_archive.requests)
    second = resolve(apt, rig)
    lock = tmp_path / "cache" / rig.key() / "lock"
    os.utime(lock, (1, 1))
    third = resolve(offline, rig)

    assert first == second == third
    assert len(debian_archive.requests) == asked
    # the lists count as used
    assert lock.stat().st_mtime > 1


def test_several_runs_at_once_share_the_lists(
    rig: AptArchives, debian_archive: DebianArchive, machine: dict[str, str], tmp_path: Path
) -> None:
    make_deb(debian_archive.folder, "signed-demo", "1")
    clients = [Apt(tmp_path / "cache", environment=machine) for _ in range(2)]
    found: list[tuple[Deb, ...]] = []
    threads = [
        threading.Thread(target=lambda apt=apt: found.append(resolve(apt, rig))) for apt in clients * 2
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len(set(found)) == 1


def test_settings_of_the_machine_do_not_change_the_solution(
    rig: AptArchives, debian_archive: DebianArchive, machine: dict[str, str], tmp_path: Path
) -> None:
    make_deb(debian_archive.folder, "signed-demo", "1", fields={"Recommends": "more", "Suggests": "most"})
    make_deb(debian_archive.folder, "more", "1")
    make_deb(debian_archive.folder, "most", "1")
    ran = tmp_path / "ran"
    with Path(machine["APT_CONFIG"]).open("a") as configuration:
        configuration.write(
            'APT::Install-Recommends "true";\nAPT::Install-Suggests "true";\nAPT::Architecture "arm64";\n'
            'APT::Default-Release "other";\nDir::State::status "/nonexistent";\n'
            'Debug::pkgDepCache::Marker "1";\n'
            f'APT::Update::Pre-Invoke {{ "touch {ran}"; }};\nDPkg::Pre-Invoke {{ "touch {ran}"; }};\n'
        )

    debs = resolve(Apt(tmp_path / "cache", environment=machine), rig)

    assert [deb.name for deb in debs] == ["signed-demo"]
    assert not ran.exists()


def test_nothing_is_left_behind_but_the_lists(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_deb(debian_archive.folder, "signed-demo", "1")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    resolve(apt, rig)

    assert list(temporary.iterdir()) == []
    (kept,) = (tmp_path / "cache").iterdir()
    assert {path.name for path in kept.iterdir()} <= {"lists", "lock", "srcpkgcache.bin"}


def test_version_of_apt(apt: Apt) -> None:
    assert apt.version()[0].isdigit()


def test_a_source_apt_cannot_read(apt: Apt, archives_of: MakeArchives) -> None:
    error = failure(apt, archives_of("deb http://user:secret@mirror.example.com/debian bookworm"))

    assert str(error) == "apt cannot read its configuration"
    assert error.detail
    assert "Malformed entry" in error.detail
    assert "secret" not in error.detail


def test_a_cache_folder_that_cannot_be_written(
    machine: dict[str, str], archives_of: MakeArchives, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")

    error = failure(
        Apt(tmp_path / "file", environment=machine), archives_of("deb http://mirror.example.com x y")
    )

    assert str(error).startswith("cannot write to the cache folder ")


def test_ca_bundle_of_the_client_serves_where_apt_has_none(
    machine: dict[str, str], archives_of: MakeArchives, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    behind_tls = archives_of("deb https://mirror.example.com/debian x main")

    def chosen(archives: AptArchives) -> str | None:
        return Apt(tmp_path, environment=machine | {"SSL_CERT_FILE": str(bundle)})._own_ca_bundle(archives)

    assert chosen(archives_of("deb http://mirror.example.com/debian x main")) is None
    assert chosen(behind_tls) == str(bundle)
    with Path(machine["APT_CONFIG"]).open("a") as configuration:
        configuration.write('Acquire::https::CaInfo "/own.pem";\n')
    assert chosen(behind_tls) is None
