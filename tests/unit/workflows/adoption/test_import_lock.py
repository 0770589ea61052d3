"""Locks of other tools taken over: versions are kept, and what could not be is said."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from envbuild.errors import NetworkError, NoSolutionError, Problem, UsageError
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.resolvers import Foundation, Resolvers
from envbuild.spec.request import VariantRequest
from envbuild.workflows.adoption.import_lock import import_lock
from envbuild.workflows.adoption.init import InitOptions
from envbuild.workflows.machine import Machine
from tests.rig.index import PackageIndex
from tests.rig.resolvers import ENVIRONMENT, FakeResolvers
from tests.rig.wheels import write_wheel

VERSIONS = {wheel.name: wheel.version for wheel in ENVIRONMENT}


def pylock(*more: str) -> str:
    versions = {**VERSIONS, **dict(text.split("==") for text in more)}
    entries = [
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\n' for name, version in versions.items()
    ]
    return f'lock-version = "1.0"\nrequires-python = "==3.11.*"\n{"".join(entries)}'


class RefusingResolvers(FakeResolvers):
    """Finds no solution while a package is asked for in one version."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def python(
        self, request: VariantRequest, foundation: Foundation, *, previous: PythonResolution
    ) -> PythonResolution:
        if any(text.startswith(f"{self._name}==") for text in request.pip.constraints):
            raise NoSolutionError("nothing satisfies this")
        return super().python(request, foundation, previous=previous)


def opening(resolvers: FakeResolvers):
    @contextmanager
    def open_resolvers(*_: object) -> Iterator[Resolvers]:
        yield resolvers

    return open_resolvers


@pytest.fixture
def machine(tmp_path: Path, package_index: PackageIndex) -> Machine:
    for name, version in VERSIONS.items():
        write_wheel(package_index.folder, name.replace("-", "_"), version=version)
    return Machine(
        environment={
            "PIP_INDEX_URL": package_index.index_url,
            "ENVBUILD_CACHE_DIR": str(tmp_path / "cache"),
            "HOME": str(tmp_path),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


def test_versions_of_the_lock_are_kept(folder: Path, machine: Machine) -> None:
    (folder / "pylock.toml").write_text(pylock())
    result = import_lock(folder / "pylock.toml", machine=machine, resolvers=opening(FakeResolvers()))

    assert result.kept == tuple(sorted(f"{name}=={version}" for name, version in VERSIONS.items()))
    assert result.dropped == ()
    tables = tomllib.loads((folder / "envbuild.toml").read_text())
    assert (tables["python"], tables["pip"]["locks"]) == ("3.11", ["pylock.toml"])
    assert (folder / "envbuild.lock").exists()


def test_versions_without_a_file_are_dropped_and_said(
    folder: Path, machine: Machine, package_index: PackageIndex
) -> None:
    wheel = write_wheel(package_index.folder, "other", version="2.0")
    wheel.rename(package_index.folder / "other-2.0-cp310-cp310-manylinux_2_17_x86_64.whl")
    (folder / "pylock.toml").write_text(pylock("gone==1.0", "other==2.0", "numpy==0.1"))
    result = import_lock(
        folder / "pylock.toml", machine=machine, resolvers=opening(RefusingResolvers("gone"))
    )

    assert result.dropped == (
        Problem("pylock.toml: gone", "the index does not have it"),
        Problem("pylock.toml: numpy", "the index has no version 0.1"),
        Problem("pylock.toml: other", "version 2.0 has no wheel for Python 3.11 on Linux"),
    )
    tables = tomllib.loads((folder / "envbuild.toml").read_text())
    assert tables["pip"]["unpinned"] == ["gone", "numpy", "other"]


def test_where_no_file_is_missing_the_refusal_stands(folder: Path, machine: Machine) -> None:
    (folder / "pylock.toml").write_text(pylock())
    with pytest.raises(NoSolutionError, match="nothing satisfies this") as caught:
        import_lock(folder / "pylock.toml", machine=machine, resolvers=opening(RefusingResolvers("numpy")))

    assert caught.value.hint == (
        f"{folder / 'envbuild.toml'} was written: `unpinned` in [pip] leaves versions to the requirements"
    )


def test_without_a_network_nothing_is_written(folder: Path) -> None:
    (folder / "pylock.toml").write_text(pylock())
    with pytest.raises(NetworkError):
        import_lock(folder / "pylock.toml", machine=Machine(offline=True))

    assert [path.name for path in folder.iterdir()] == ["pylock.toml"]


def test_the_project_file_beside_a_lock_says_what_is_wanted(folder: Path, machine: Machine) -> None:
    (folder / "requirements.txt").write_text("django\n")
    (folder / "pyproject.toml").write_text('[project]\nname = "mine"\ndependencies = ["numpy"]\n')
    (folder / "pylock.toml").write_text(pylock())
    import_lock(
        folder / "pylock.toml",
        InitOptions(name="named"),
        machine=machine,
        resolvers=opening(FakeResolvers()),
    )

    tables = tomllib.loads((folder / "envbuild.toml").read_text())
    assert tables == {"name": "named", "python": "3.11", "pip": {"project": True, "locks": ["pylock.toml"]}}


@pytest.mark.parametrize(
    ("name", "message"),
    [("notes.md", "is no lock of a known tool"), ("nowhere.lock", "is not a file")],
)
def test_what_is_no_lock_is_refused(folder: Path, name: str, message: str) -> None:
    (folder / "notes.md").write_text("")
    with pytest.raises(UsageError, match=message):
        import_lock(folder / name)
