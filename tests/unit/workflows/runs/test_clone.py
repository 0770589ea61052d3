"""The code of a run, fetched from the recorded remote: git's own server on the loopback interface."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError, NetworkError, UsageError
from envbuild.records.found import FoundRun
from envbuild.records.model import RecordedGit, RunRecord
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from envbuild.workflows.runs.code import Checkout, check_out, plan_checkout
from tests.rig.git_server import GitServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "served") as server:
        yield server


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine whose current folder is in no repository."""
    monkeypatch.chdir(tmp_path)
    return Machine(environment={"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")})


def checkout_of(
    commit: str, remote: str, folder: Path, machine: Machine, project: Project | None = None
) -> Checkout:
    git = RecordedGit(commit=commit, remote=remote, folder="train")
    found = FoundRun(source="x", record=RunRecord(git=git), place="x")
    return plan_checkout(found, folder, project, machine)


def test_the_recorded_commit_is_checked_out(server: GitServer, here: Machine, tmp_path: Path) -> None:
    repository = server.repository("demo")
    first = repository.commit({"train/a.py": "1", "train/envbuild.toml": ""})
    repository.commit({"train/a.py": "2"})
    checkout = checkout_of(first, server.address("demo"), tmp_path / "new" / "code", here)
    folder = check_out(checkout, here)
    assert (folder / "a.py").read_text() == "1"
    assert str(checkout) == f"commit {first[:12]} of {server.address('demo')} into {tmp_path}/new/code"


def test_a_commit_that_the_remote_has_not(server: GitServer, here: Machine, tmp_path: Path) -> None:
    server.repository("demo").commit({"train/a.py": "1"})
    checkout = checkout_of("0" * 40, server.address("demo"), tmp_path / "code", here)
    with pytest.raises(EnvbuildError, match="git could not check the code out"):
        check_out(checkout, here)


def test_a_remote_that_is_gone(server: GitServer, here: Machine, tmp_path: Path) -> None:
    checkout = checkout_of("0" * 40, server.address("none"), tmp_path / "code", here)
    with pytest.raises(NetworkError):
        check_out(checkout, here)


def test_nobody_is_asked_offline(server: GitServer, here: Machine, tmp_path: Path) -> None:
    offline = Machine(environment=here.environment, offline=True)
    checkout = checkout_of("0" * 40, server.address("demo"), tmp_path / "code", offline)
    with pytest.raises(UsageError, match="--offline asks nobody"):
        check_out(checkout, offline)
