import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from envbuild.formats.apt_sources_list import parse_lines
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.client import Apt
from tests.rig.archive import DebianArchive


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which apt sees none of this machine's own configuration."""
    if shutil.which("apt-get") is None:
        pytest.skip("needs Debian's apt")
    configuration = tmp_path / "machine.conf"
    configuration.write_text(
        'Dir::Etc::parts "/nonexistent";\nDir::Etc::main "none";\nAcquire::Retries "0";\n'
    )
    return {"PATH": os.environ["PATH"], "APT_CONFIG": str(configuration)}


@pytest.fixture
def apt(machine: dict[str, str], tmp_path: Path) -> Apt:
    return Apt(tmp_path / "cache", environment=machine)


@pytest.fixture
def archives_of() -> Callable[..., AptArchives]:
    """Make a archives of one-line sources, unsigned ones with `[trusted=yes]`."""

    def make(lines: str, **fields: object) -> AptArchives:
        values = {"name": "rig", "architecture": "amd64", "sources": parse_lines(lines)} | fields
        return AptArchives(**values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def rig(debian_archive: DebianArchive, archives_of: Callable[..., AptArchives]) -> AptArchives:
    """Return a archives with just the archive of the rig."""
    return archives_of(debian_archive.source)
