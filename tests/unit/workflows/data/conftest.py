"""A project with two entries of data that are just there."""

from pathlib import Path

import pytest

from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from tests.rig.data_project import data_project, write_files

IMAGES = {"a.png": b"first", "deep/b.png": b"second"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with an empty cache and home."""
    return Machine(
        environment={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path / "home"),
            "ENVBUILD_CACHE_DIR": str(tmp_path / "cache"),
        }
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with data that is here, and not locked yet."""
    project = data_project(tmp_path / "train", 'name = "images"', 'name = "model"\npath = "model.bin"')
    write_files(project.folder / "data/images", IMAGES)
    (project.folder / "model.bin").write_bytes(b"weights")
    return project
