"""A project in an empty folder, on a machine that has neither an index nor an engine."""

import os
from pathlib import Path

import pytest

from envbuild.remote import http
from tests.rig.index import PackageIndex
from tests.rig.locks import sample_lock
from tests.rig.program import WIDTH, Program


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the program in an empty folder."""
    for variable in os.environ:
        unwanted = {"NO_COLOR", "FORCE_COLOR", "XDG_CONFIG_HOME"}
        if variable.startswith(("PIP_", "UV_", "ENVBUILD_")) or variable in unwanted:
            monkeypatch.delenv(variable)
    folder, home = tmp_path / "project", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    monkeypatch.chdir(folder)
    settings = {
        "COLUMNS": str(WIDTH),
        "DOCKER_HOST": "unix:///nonexistent",
        "ENVBUILD_CACHE_DIR": str(tmp_path / "cache"),
        "ENVBUILD_DATA_DIR": str(tmp_path / "data"),
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_HTTP_RETRIES": "0",
    }
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    # servers that cannot be reached are asked again at once: no test here is about the waits
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0)
    return Program(folder)


@pytest.fixture
def locked(program: Program) -> Program:
    """Return the program where the lock answers the spec."""
    program.has(sample_lock())
    return program


@pytest.fixture
def with_index(locked: Program, package_index: PackageIndex, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the program with `package_index` as its Python index.

    The base stays as locked, so that nothing but the index is asked.
    """
    monkeypatch.setenv("PIP_INDEX_URL", package_index.index_url)
    return locked
