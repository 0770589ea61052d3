"""A project in a folder of its own, as a program that imports envbuild has it."""

from pathlib import Path

import pytest

from envbuild.lock.codec import dumps
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from tests.rig.locks import sample_lock
from tests.rig.program import SPEC


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project whose lock answers its spec."""
    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "envbuild.toml").write_text(SPEC)
    (folder / "envbuild.lock").write_text(dumps(sample_lock()))
    return Project(folder / "envbuild.toml")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with an empty cache and home, that reaches neither index nor engine."""
    return Machine(
        environment={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path / "home"),
            "ENVBUILD_CACHE_DIR": str(tmp_path / "cache"),
            "DOCKER_HOST": "unix:///nonexistent",
            "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        }
    )
