"""A command in an image, for a program that imports envbuild."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envbuild.errors import UsageError
from envbuild.image.engine import RunRequest
from envbuild.workflows.containers import run
from envbuild.workflows.containers.options import RunOptions
from envbuild.workflows.containers.run import run_command
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what an engine that holds the image was asked for, which is the engine of every project."""
    calls: list[object] = []

    def find(_request: object) -> SimpleNamespace:
        calls.append("find")
        facts = SimpleNamespace(identifier=f"sha256:{'0' * 64}", names=(), labels={})
        return SimpleNamespace(reference="train:1", facts=facts, content=None)

    def run_attached(request: RunRequest) -> int:
        calls.append(request.command)
        return 3

    engine = SimpleNamespace(
        is_here=True,
        name="docker",
        require_privileges=lambda _restart: None,
        require_options=lambda _options: None,
        find_target=find,
        run_attached=run_attached,
        close=lambda: calls.append("close"),
    )
    monkeypatch.setattr(run, "engine_of", lambda *_arguments, **_options: engine)
    return calls


def test_a_command_is_run_and_its_status_returned(
    project: Project, machine: Machine, asked: list[object]
) -> None:
    assert run_command(project, ["echo", "hello"], machine=machine) == 3
    assert asked == ["find", ("echo", "hello"), "close"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo hello", "`command` is one text, not a list of words: 'echo hello'"),
        ([], "`command` is empty"),
        (["python", 3], "`command` holds 3, which is no text"),
    ],
)
def test_what_is_no_command_is_refused(
    project: Project, machine: Machine, asked: list[object], command: Any, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        run_command(project, command, machine=machine)
    assert (caught.value.message, asked) == (message, [])
    assert caught.value.hint


def test_a_missing_file_is_found_before_the_image_is_built(
    project: Project, machine: Machine, asked: list[object], tmp_path: Path
) -> None:
    copies = (tmp_path / "no", project.spec, tmp_path / "nor")
    with pytest.raises(UsageError, match=f"^there is no `{copies[0]}`, `{copies[2]}` to copy$"):
        run_command(project, ["true"], RunOptions(copies=copies), machine=machine)
    assert asked == []


def test_a_program_without_standard_output_runs_it_too(
    project: Project, machine: Machine, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert run_command(project, ["true"], machine=machine) == 3
    assert asked[-1] == "close"
