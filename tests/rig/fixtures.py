"""The rig as pytest fixtures; each pytest-xdist worker has servers of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.store.store import Store
from tests.rig.archive import DebianArchive
from tests.rig.bases import PushedImage, debian_base, push_base, python_base
from tests.rig.engine import ensure_engine, forget_at_the_end
from tests.rig.faulty_server import FaultyServer, serving
from tests.rig.index import PackageIndex
from tests.rig.registry import Registry, running_registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Run a registry for the whole session."""
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def engine_host(registry: Registry) -> str:
    """Return DOCKER_HOST of a running engine; the environment has it too from here on.

    When all tests are done, the engine forgets what it pulled from `registry`.
    """
    os.environ["DOCKER_HOST"] = ensure_engine()
    forget_at_the_end(f"{registry.host}/")
    return os.environ["DOCKER_HOST"]


@pytest.fixture
def guarded_registry(tmp_path: Path) -> Iterator[Registry]:
    """Run a registry that asks for the credentials in its `auth`."""
    with running_registry(tmp_path / "guarded-registry", auth=("reader", "pass:word")) as running:
        yield running


@pytest.fixture(scope="session")
def debian_image(registry: Registry) -> PushedImage:
    """Push Debian with its own python3, for this machine's architecture."""
    return push_base(debian_base(), registry, "library/debian", "bookworm")


@pytest.fixture(scope="session")
def python_image(registry: Registry) -> PushedImage:
    """Push a base like Docker's official `python:3.11-slim`, with an arm64 sibling."""
    return push_base(python_base(), registry, "library/python", "3.11-slim", architectures=("amd64", "arm64"))


@pytest.fixture
def package_index(tmp_path: Path) -> Iterator[PackageIndex]:
    """Serve an empty Python index; put wheels into its `folder`."""
    folder = tmp_path / "index"
    folder.mkdir()
    with PackageIndex(folder) as index:
        yield index


@pytest.fixture
def debian_archive(tmp_path: Path) -> Iterator[DebianArchive]:
    """Serve an empty Debian archive; put packages into its `folder`."""
    folder = tmp_path / "archive"
    folder.mkdir()
    with DebianArchive(folder) as archive:
        yield archive


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    """Serve files by HTTP, with the faults a test sets."""
    with serving() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store in a cache folder of its own."""
    return Store(tmp_path / "cache")
