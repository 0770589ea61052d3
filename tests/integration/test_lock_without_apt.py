"""`envbuild lock` with apt hidden: the same lock as with it, but for the version of apt."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.bases import debian_base, push_base
from tests.rig.registry import Registry
from tests.rig.unprivileged import run_unprivileged
from tests.rig.without_apt import ENVBUILD, mirror_variables, run_without_apt

pytestmark = [
    pytest.mark.network,
    pytest.mark.long,
    pytest.mark.xdist_group("apt"),
    pytest.mark.skipif(os.geteuid() != 0, reason="hiding apt needs root"),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="compares with this machine's apt"),
]

SPEC = """
name = "train"
python = "{python}"

[base]
{base}

[system]
packages = ["git", "libgomp1", "perl"]
"""
TOOL = re.compile(r'^apt = "(?P<version>[^"]+)"\n', re.MULTILINE)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Return a folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="envbuild-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def project(folder: Path, base: str, python: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "envbuild.toml").write_text(SPEC.format(base=base, python=python))
    return folder


def on_host(folder: Path, environment: dict[str, str]) -> tuple[str, str]:
    """Lock with this machine's apt; return the lock without its version, and that."""
    subprocess.run(
        [*ENVBUILD, "lock"],
        cwd=folder,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        timeout=590,
    )
    return read(folder)


def hidden(folder: Path, scratch: Path, environment: dict[str, str]) -> tuple[str, str]:
    done = run_without_apt(*ENVBUILD, "lock", scratch=scratch, folder=folder, environment=environment)
    assert done.returncode == 0, done.stderr
    return read(folder)


def read(folder: Path) -> tuple[str, str]:
    text = (folder / "envbuild.lock").read_text()
    versions = TOOL.findall(text)
    assert len(versions) == 1
    return TOOL.sub("", text), versions[0]


@pytest.mark.parametrize(("name", "python"), [("bookworm", "3.11"), ("trixie", "3.13")])
def test_a_base_of_packages_locks_the_same_from_unpacked_packages(
    scratch: Path, name: str, python: str
) -> None:
    base = f'packages = "debian:{name}"'
    first = on_host(project(scratch / "a", base, python), {"ENVBUILD_CACHE_DIR": str(scratch / "host")})
    cache = {"ENVBUILD_CACHE_DIR": str(scratch / "root")}
    second = hidden(project(scratch / "b", base, python), scratch, cache)

    assert first[0] == second[0]
    assert (scratch / "root" / "apt-programs").is_dir()


@pytest.mark.engine
@pytest.mark.usefixtures("engine_host")
def test_a_base_of_packages_locks_the_same_in_a_container(scratch: Path) -> None:
    base = 'packages = "debian:bookworm"'
    first = on_host(project(scratch / "a", base, "3.11"), {"ENVBUILD_CACHE_DIR": str(scratch / "host")})
    environment = {"ENVBUILD_CACHE_DIR": str(scratch / "engine"), "ENVBUILD_APT": "engine"}
    second = hidden(project(scratch / "b", base, "3.11"), scratch, environment)

    assert first[0] == second[0]


@pytest.mark.engine
@pytest.mark.usefixtures("engine_host")
def test_an_image_base_locks_the_same_each_way(scratch: Path, registry: Registry) -> None:
    pushed = push_base(debian_base(), registry, "library/without-apt", "12")
    base = f'image = "{pushed.reference}"'
    host = {
        "ENVBUILD_CACHE_DIR": str(scratch / "host"),
        "ENVBUILD_INSECURE_REGISTRIES": registry.host,
        **mirror_variables(),
    }
    first = on_host(project(scratch / "a", base, "3.11"), host)
    for way in ("root", "engine"):
        environment = host | {"ENVBUILD_CACHE_DIR": str(scratch / way), "ENVBUILD_APT": way}
        assert hidden(project(scratch / way / "p", base, "3.11"), scratch, environment)[0] == first[0]


def test_an_ordinary_user_locks_from_unpacked_packages(scratch: Path) -> None:
    folder = project(scratch / "user" / "p", 'packages = "debian:bookworm"', "3.11")
    environment = {"ENVBUILD_CACHE_DIR": str(scratch / "user" / "cache"), "ENVBUILD_APT": "root"}
    for path in (folder.parent, folder):
        path.chmod(0o777)

    done = run_unprivileged(
        *ENVBUILD, "lock", "-f", folder, scratch=scratch / "user", ids=0, environment=environment
    )

    assert done.returncode == 0, done.stderr
    assert read(folder)[1]
