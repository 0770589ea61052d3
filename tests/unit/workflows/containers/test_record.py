"""What a container is told of its run."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envbuild.digest import sha256_file
from envbuild.image.engine import RunRequest
from envbuild.lock.codec import dumps, loads
from envbuild.lock.identity import tag_of, target_digest
from envbuild.progress import SilentProgress
from envbuild.records import model
from envbuild.records.found import FoundRun
from envbuild.records.model import RunRecord, read_record
from envbuild.workflows.containers import record as record_module
from envbuild.workflows.containers import run
from envbuild.workflows.containers.options import RunOptions
from envbuild.workflows.containers.run import prepare_run, run_command
from envbuild.workflows.containers.shell import prepare_shell
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project

IMAGE = f"sha256:{'1' * 64}"


class Notes(SilentProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def on_note(self, text: str) -> None:
        """Keep a note."""
        self.notes.append(text)


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> list[RunRequest]:
    """Return what an engine that holds the image, in place of a real one, was asked to run."""
    requests: list[RunRequest] = []

    def run_attached(request: RunRequest) -> int:
        requests.append(request)
        return 0

    facts = SimpleNamespace(identifier=IMAGE, names=(), labels={})
    engine = SimpleNamespace(
        name="docker",
        is_here=True,
        require_privileges=lambda _restart: None,
        require_options=lambda _options: None,
        find_target=lambda _request: SimpleNamespace(reference="train:1", facts=facts, content=None),
        run_attached=run_attached,
        close=lambda: None,
    )
    monkeypatch.setattr(run, "engine_of", lambda *_arguments, **_options: engine)
    return requests


def told(project: Project, machine: Machine, *command: str, **options: Any) -> dict[str, str]:
    """Return the variables of a container."""
    request = prepare_run(project, command or ("true",), RunOptions(**options), machine=machine).request
    return dict(request.env)


def recorded(project: Project, machine: Machine, *command: str, **options: Any) -> dict[str, Any]:
    """Return the record that a container gets."""
    text = told(project, machine, *command, **options)["ENVBUILD_RUN"]
    return read_record(text, where="x").document()


def test_a_run_is_told_what_it_is(
    project: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    lock = loads(project.lock.read_text())
    target = next(target for target in lock.targets if target.platform == "linux/amd64")
    digest = target_digest(lock, target)
    assert recorded(project, machine, "python", "a.py", "--token=x", platform="linux/amd64") == {
        "version": 1,
        "name": lock.request.name,
        "variant": "default",
        "platform": "linux/amd64",
        "target": digest,
        "tag": tag_of(digest),
        "format": recorded(project, machine)["format"],
        "lock": {"sha256": sha256_file(project.lock), "path": "envbuild.lock"},
        "image": {"reference": "train:1", "digest": IMAGE, "engine": "docker"}
        | ({"repository": lock.request.repository} if lock.request.repository else {}),
        "command": ["python", "a.py", "--token=***"],
        "redacted": True,
        "folder": ".",
        "mounted": True,
        # of the image: its spec has a seed
        "variables": {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONHASHSEED": "7"},
    }


def test_trackers_are_told_in_their_own_words(project: Project, machine: Machine) -> None:
    env = told(project, machine)
    tags = json.loads(env["MLFLOW_RUN_CONTEXT"])
    assert tags["envbuild.run"] == env["ENVBUILD_RUN"]
    assert tags["envbuild.image.digest"] == IMAGE
    assert all(isinstance(value, str) for value in tags.values())
    assert env["WANDB_DOCKER"] == f"train:1@{IMAGE}"


def test_what_the_caller_sets_is_left_alone(project: Project, machine: Machine) -> None:
    own = {"MLFLOW_RUN_CONTEXT": "{}", "WANDB_DOCKER": "mine", "ENVBUILD_RUN": "mine"}
    env = told(project, machine, env=own)
    assert (env["MLFLOW_RUN_CONTEXT"], env["WANDB_DOCKER"]) == ("{}", "mine")
    assert json.loads(env["ENVBUILD_RUN"])["variable-names"] == sorted(own)


def test_values_of_switches_alone_are_recorded(project: Project, machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("SEED=7\nAPI=hunter2\n")
    env = {"PYTHONHASHSEED": "0", "HF_TOKEN": "hunter2", "OMP_NUM_THREADS": "hunter2 and more", "a b": "c"}
    found = recorded(project, machine, env=env, env_files=(tmp_path / "env",))
    assert found["variables"] == {
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "PYTHONHASHSEED": "0",
        "SEED": "7",
    }
    assert found["variable-names"] == ["API", "HF_TOKEN", "OMP_NUM_THREADS"]
    assert "hunter2" not in json.dumps(found)


def test_options_and_mounts_are_recorded_without_paths_of_this_machine(
    project: Project, machine: Machine, tmp_path: Path
) -> None:
    found = recorded(
        project,
        machine,
        mounts=(f"{tmp_path}:/cache:ro", "type=tmpfs,target=/fast"),
        shm_size="8g",
        network="none",
    )
    assert found["options"] == {"network": "none", "shm-size": "8g"}
    assert found["mounts"] == [
        {"target": "/cache", "read-only": True},
        {"target": "/fast", "read-only": False},
    ]
    assert str(tmp_path) not in json.dumps(found)


def test_a_run_without_the_folder(project: Project, machine: Machine) -> None:
    found = recorded(project, machine, mount=False)
    assert found["mounted"] is False
    assert "folder" not in found


def test_a_shell_has_no_command(project: Project, machine: Machine) -> None:
    request = prepare_shell(project, machine=machine).request
    assert "command" not in json.loads(request.env["ENVBUILD_RUN"])


def test_the_folder_in_git_and_the_command_in_it(
    project: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "--quiet"), ("add", "."), (*identity, "commit", "--quiet", "-m", "one")):
        subprocess.run(["git", *words], cwd=project.folder.parent, check=True)
    (project.folder / "src").mkdir()
    monkeypatch.chdir(project.folder / "src")
    found = recorded(project, machine)
    assert (found["folder"], found["git"]["folder"], found["git"]["dirty"]) == ("src", "train", False)
    assert found["lock"]["path"] == "train/envbuild.lock"


def test_nothing_is_told_with_no_record(project: Project, machine: Machine) -> None:
    assert told(project, machine, record=False) == {}


def test_nothing_is_told_where_the_spec_says_so(project: Project, machine: Machine) -> None:
    lock = loads(project.lock.read_text())
    targets = tuple(target.model_copy(update={"record": False}) for target in lock.targets)
    project.lock.write_text(dumps(lock.model_copy(update={"targets": targets})))
    assert told(project, machine, frozen=True) == {}


def test_a_run_that_cannot_be_recorded_goes_on(
    project: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch, given: list[RunRequest]
) -> None:
    def fail(_path: Path) -> str:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(record_module, "sha256_file", fail)
    progress = Notes()
    watched = Machine(environment=machine.environment, progress=progress)
    assert run_command(project, ["true"], machine=watched) == 0
    assert progress.notes == ["the run is not recorded: PermissionError"]
    assert given[0].env == {}


def test_a_command_as_long_as_a_program_is_left_out(project: Project, machine: Machine) -> None:
    found = recorded(project, machine, "python", "-c", "x" * 70_000)
    assert "command" not in found
    assert found["redacted"]


def test_a_word_that_is_no_text_is_recorded_as_far_as_it_is(project: Project, machine: Machine) -> None:
    found = recorded(project, machine, "cat", os.fsdecode(b"a\xff"))
    assert (found["command"], found["redacted"]) == (["cat", "a?"], True)


def test_what_is_written_can_be_read_again(
    project: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (record_module.MOST_WORDS, record_module.MOST_ITEMS, record_module.LONGEST_LINE) == (
        model.MOST_WORDS,
        model.MOST_ITEMS,
        model.LONGEST_LINE,
    )
    env = {f"A{number}": "x" for number in range(300)}
    mounts = (*(f"{tmp_path}:/m/{number}" for number in range(300)), f"{tmp_path}:/odd\u202ename")
    found = recorded(project, machine, *["a"] * 5000, env=env, mounts=mounts)
    assert ("command" in found, found["redacted"]) == (False, True)
    assert (len(found["variable-names"]), len(found["mounts"])) == (256, 256)
    below = project.folder / "a\\b" / "c"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert "folder" not in recorded(project, machine)


def test_the_folder_of_a_repeated_run_is_not_recorded(project: Project, machine: Machine) -> None:
    lock = loads(project.lock.read_text())
    found = FoundRun(source="wandb:/home/me/wandb/run-1", record=RunRecord(), place="x")
    again = record_module.RepeatedRun(source=found.public_source, lock=lock, lock_sha256="b" * 64)
    request = prepare_run(project, ("true",), RunOptions(), machine=machine, again=again).request
    record = read_record(request.env["ENVBUILD_RUN"], where="x").document()
    assert record["again"] == {"source": "wandb:run-1"}
    assert record["lock"]["sha256"] == "b" * 64


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("mlflow:4f6a", "mlflow:4f6a"),
        ("tensorboard:runs/a", "tensorboard:runs/a"),
        ("tensorboard:../../me/runs/a", "tensorboard:a"),
        ("wandb:/home/me/run-1/", "wandb:run-1"),
        ("wandb:a\x1bb", "wandb:a\\x1bb"),
        ("dvc:HEAD:train", "dvc:HEAD:train"),
    ],
)
def test_a_source_as_others_may_see_it(source: str, expected: str) -> None:
    assert FoundRun(source=source, record=RunRecord(), place="x").public_source == expected
