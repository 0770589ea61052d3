"""The Debian archive this machine is configured with, for this architecture and a foreign one."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from envbuild.catalog.distributions import distributions
from envbuild.digest import sha256_bytes
from envbuild.errors import NoSolutionError, SpecError
from envbuild.lock.model import Deb
from envbuild.platforms import AMD64, ARM64, Platform
from envbuild.remote.apt import AptSettings, archive_addresses, read_settings
from envbuild.remote.http import open_session
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.apt.status import status_of_debs
from envbuild.resolve.apt.system import resolve_system
from envbuild.resolve.base.packages import PackagesBase, resolve_packages_base

pytestmark = [
    pytest.mark.network,
    pytest.mark.xdist_group("apt"),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs Debian's apt"),
]

PYTHONS = {"debian:bookworm": "3.11", "debian:trixie": "3.13"}
LIBCS = {"debian:bookworm": "2.36", "debian:trixie": "2.41"}
TARGETS = [(name, platform) for name in PYTHONS for platform in (AMD64, ARM64)]


class Archive:
    """One apt for the module, and each base resolved once."""

    def __init__(self, cache: Path) -> None:
        self.apt = Apt(cache, environment=os.environ)
        self.settings: AptSettings = read_settings(os.environ)
        self._bases: dict[tuple[str, str], PackagesBase] = {}

    def base(self, name: str, platform: Platform) -> PackagesBase:
        key = (name, platform.name)
        if key not in self._bases:
            self._bases[key] = self.resolve(name, platform, PYTHONS[name])
        return self._bases[key]

    def resolve(self, name: str, platform: Platform, python: str) -> PackagesBase:
        return resolve_packages_base(self.apt, name, python=python, platform=platform, settings=self.settings)

    def fetch(self, deb: Deb) -> bytes:
        for address in archive_addresses(deb.archive, settings=self.settings):
            answer = open_session().get(f"{address}/{deb.path}", timeout=60)
            if answer.ok:
                return answer.content
        raise AssertionError(f"{deb.path} is at none of the addresses of {deb.archive}")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("apt"))


def named(debs: tuple[Deb, ...], name: str) -> Deb:
    return next(deb for deb in debs if deb.name == name)


def member(content: bytes, path: str, folder: Path) -> bytes:
    """Return one file of a package."""
    file = folder / "x.deb"
    file.write_bytes(content)
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", file], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        stream = members.extractfile(path)
        assert stream is not None
        return stream.read()


@pytest.mark.parametrize(("name", "platform"), TARGETS, ids=lambda value: getattr(value, "debian", value))
def test_base_from_packages(archive: Archive, name: str, platform: Platform) -> None:
    found = archive.base(name, platform)

    base, names = found.base, {deb.name for deb in found.debs}
    assert base.key == f"{name} {platform.name}"
    assert base.packages is not None
    assert base.packages.debs == tuple(deb.file for deb in found.debs)
    assert base.libc.version == LIBCS[name]
    assert {deb.architecture for deb in found.debs} == {"all", platform.debian}
    assert {deb.archive for deb in found.debs} <= {"debian", "debian-security"}
    assert {"apt", "bash", "ca-certificates", "libc6", "netbase", "passwd", "python3", "tzdata"} <= names
    assert named(found.debs, "dpkg").essential
    assert not any(deb.name.startswith("perl-modules") for deb in found.debs)
    assert found.interpreter.version.startswith(f"{PYTHONS[name]}.")
    assert found.interpreter.path == f"/usr/bin/python{PYTHONS[name]}"
    assert found.interpreter.provider == f"deb python{PYTHONS[name]}-minimal"
    assert base.created.tzinfo is not None


@pytest.mark.parametrize("name", PYTHONS)
def test_facts_of_the_catalogue_are_those_of_base_files(archive: Archive, name: str, tmp_path: Path) -> None:
    found = archive.base(name, AMD64)
    deb = named(found.debs, "base-files")
    content = archive.fetch(deb)

    text = member(content, "./usr/lib/os-release", tmp_path).decode()

    said = dict(line.replace('"', "").split("=", 1) for line in text.splitlines())
    facts = distributions()[name].os
    assert sha256_bytes(content) == deb.sha256
    assert (said["ID"], said["VERSION_ID"]) == (facts.id, facts.version_id)
    assert (said["VERSION_CODENAME"], said["PRETTY_NAME"]) == (facts.codename, facts.pretty_name)


@pytest.mark.parametrize("name", PYTHONS)
def test_base_brings_the_module_that_makes_environments(archive: Archive, name: str, tmp_path: Path) -> None:
    python = PYTHONS[name]
    deb = named(archive.base(name, AMD64).debs, f"libpython{python}-stdlib")

    source = member(archive.fetch(deb), f"./usr/lib/python{python}/venv/__init__.py", tmp_path)

    assert b"class EnvBuilder" in source


@pytest.mark.parametrize("platform", [AMD64, ARM64], ids=lambda platform: platform.debian)
def test_system_packages_on_a_base_from_packages(archive: Archive, platform: Platform) -> None:
    base = archive.base("debian:bookworm", platform)

    debs = resolve_system(archive.apt, base.archives, ["git", "libgomp1"], installed=base.debs)
    swapped = resolve_system(archive.apt, base.archives, ["libgomp1", "git", "bash"], installed=base.debs)
    by_text = resolve_system(
        archive.apt, base.archives, ["git", "libgomp1"], installed=status_of_debs(base.debs, ())
    )

    assert debs == swapped
    assert [deb.file for deb in by_text] == [deb.file for deb in debs]
    names = [deb.name for deb in debs]
    assert {"git", "git-man", "libgomp1", "perl"} <= set(names)
    assert not set(names) & {deb.name for deb in base.debs}
    assert [deb.file for deb in debs] == sorted(deb.file for deb in debs)
    assert "less" not in names  # recommended only


def test_every_file_is_at_an_address_of_its_archive(archive: Archive) -> None:
    base = archive.base("debian:bookworm", AMD64)
    debs = resolve_system(archive.apt, base.archives, ["libgomp1", "git"], installed=base.debs)
    secured = [deb for deb in base.debs if deb.archive == "debian-security"][:3]

    with open_session() as session:
        for deb in (*debs, *secured):
            addresses = archive_addresses(deb.archive, settings=archive.settings)
            sizes = [
                int(answer.headers["Content-Length"])
                for address in addresses
                if (answer := session.head(f"{address}/{deb.path}", timeout=60)).ok
            ]
            assert deb.size in sizes, deb.path


def test_locking_again_gives_the_same(archive: Archive) -> None:
    first = archive.base("debian:bookworm", AMD64)
    fresh = resolve_packages_base(
        archive.apt,
        "debian:bookworm",
        python="3.11",
        platform=AMD64,
        settings=archive.settings,
        previous=first.debs,
    )

    assert (fresh.base, fresh.debs, fresh.interpreter) == (first.base, first.debs, first.interpreter)


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("3.9", "debian:bookworm has Python 3.11, not 3.9"),
        ("3.11.99", "debian:bookworm has Python 3.11."),
    ],
)
def test_a_python_the_distribution_does_not_have(archive: Archive, python: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        archive.resolve("debian:bookworm", AMD64, python)

    (problem,) = caught.value.problems
    assert problem.where == "python"
    assert problem.message.startswith(message)
    assert problem.hint == "write the Python it has, or choose a base by [base] image"


def test_the_exact_python_of_the_distribution(archive: Archive) -> None:
    exact = archive.base("debian:bookworm", AMD64).interpreter.version

    assert archive.resolve("debian:bookworm", AMD64, exact).interpreter.version == exact


def test_unknown_names_and_conflicts(archive: Archive) -> None:
    base = archive.base("debian:bookworm", AMD64)

    with pytest.raises(NoSolutionError) as unknown:
        resolve_system(archive.apt, base.archives, ["gti", "libgl"], installed=base.debs)
    with pytest.raises(NoSolutionError) as conflict:
        resolve_system(
            archive.apt,
            base.archives,
            ["libcurl4-openssl-dev", "libcurl4-gnutls-dev"],
            installed=base.debs,
        )

    assert [problem.message for problem in unknown.value.problems] == [
        "there is no package `gti`",
        "there is no package `libgl`",
    ]
    assert str(unknown.value.problems[0].hint).startswith("there is `git`")
    assert "Conflicts: libcurl4-openssl-dev" in str(conflict.value.detail)
