"""apt itself is asked, of archives on the loopback interface."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.formats.apt_sources_list import parse_lines
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.outdated.debs import deb_updates
from envbuild.resolve.outdated.model import PackageUpdate
from tests.rig.archive import DebianArchive, make_deb
from tests.rig.locks import deb

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs Debian's apt")


class Archives:
    """A main archive and one of security updates."""

    def __init__(self, main: DebianArchive, security: DebianArchive, apt: Apt) -> None:
        self.main, self.security, self.apt = main, security, apt

    def asked(self, *locked: tuple[str, str], spec: tuple[str, ...] = ()) -> dict[str, PackageUpdate]:
        archives = AptArchives(
            name="rig",
            architecture="amd64",
            sources=parse_lines(f"{self.main.source}\n{self.security.source}"),
        )
        debs = [deb(name, version) for name, version in locked]
        return {update.name: update for update in deb_updates(self.apt, archives, debs, asked=spec)}


@pytest.fixture
def archives(tmp_path: Path) -> Iterator[Archives]:
    for name in ("main", "security"):
        (tmp_path / name).mkdir()
    configuration = tmp_path / "machine.conf"
    configuration.write_text(
        'Dir::Etc::parts "/nonexistent";\nDir::Etc::main "none";\nAcquire::Retries "0";\n'
    )
    apt = Apt(tmp_path / "cache", environment={"PATH": os.environ["PATH"], "APT_CONFIG": str(configuration)})
    with (
        DebianArchive(tmp_path / "main") as main,
        DebianArchive(tmp_path / "security", suite="rig-security") as security,
    ):
        yield Archives(main, security, apt)


def test_newer_versions_are_found_and_security_updates_told_apart(archives: Archives) -> None:
    for name, version in (("same", "1.0"), ("newer", "2.0"), ("fixed", "1.0"), ("taken-over", "3.0")):
        make_deb(archives.main.folder, name, version)
    for name, version in (("fixed", "1.0+deb1"), ("taken-over", "2.0"), ("same", "1.0")):
        make_deb(archives.security.folder, name, version)

    found = archives.asked(*((name, "1.0") for name in ("same", "newer", "fixed", "taken-over", "gone")))

    assert {name: (one.allowed, one.newest, one.security) for name, one in found.items()} == {
        "same": ("1.0", "1.0", None),
        "newer": ("2.0", "2.0", None),
        "fixed": ("1.0+deb1", "1.0+deb1", "1.0+deb1"),
        "taken-over": ("3.0", "3.0", "2.0"),
        "gone": (None, None, None),
    }
    assert [name for name, one in found.items() if one.is_outdated] == ["newer", "fixed", "taken-over"]
    assert found["gone"].notes == ("the archives no longer have it",)


def test_a_version_that_the_spec_asks_for_stays(archives: Archives) -> None:
    make_deb(archives.main.folder, "tool", "1.0")
    make_deb(archives.main.folder, "tool", "2.0")

    update = archives.asked(("tool", "1.0"), spec=("tool=1.0", "other"))["tool"]

    assert (update.allowed, update.newest) == ("1.0", "2.0")
    assert update.notes == ("the spec asks for tool=1.0",)


def test_a_locked_version_that_is_newer_than_the_archives_is_not_outdated(archives: Archives) -> None:
    make_deb(archives.main.folder, "tool", "1.0")

    assert not archives.asked(("tool", "1:0.5"))["tool"].is_outdated
