"""Several projects at once, for a program that imports envbuild."""

import threading
from pathlib import Path

from envbuild.errors import EnvbuildError
from envbuild.progress import SilentProgress
from envbuild.workflows.machine import Machine
from envbuild.workflows.many import for_each_project
from envbuild.workflows.project import Project


class Written(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_stage(self, text: str) -> None:
        self.lines.append(text)

    def on_note(self, text: str) -> None:
        self.lines.append(f"note: {text}")


def projects(*names: str) -> list[Project]:
    return [Project(Path(name, "envbuild.toml")) for name in names]


def test_results_are_in_the_order_of_the_projects():
    later = threading.Event()

    def work(project: Project, _: Machine) -> str:
        if project.label == "a":
            later.wait(10)
        else:
            later.set()
        return project.label.upper()

    results = for_each_project(projects("a", "b"), work, machine=Machine())

    assert [(result.project.label, result.value, result.error) for result in results] == [
        ("a", "A", None),
        ("b", "B", None),
    ]


def test_an_error_of_one_is_its_result():
    refused = EnvbuildError("no")

    def work(project: Project, _: Machine) -> int:
        if project.label == "a":
            raise refused
        if project.label == "b":
            raise PermissionError(13, "Permission denied", "b/envbuild.lock")
        return 1

    first, second, third = for_each_project(projects("a", "b", "c"), work, machine=Machine())

    assert (first.value, first.error) == (None, refused)
    assert second.error is not None
    assert second.error.message == "b/envbuild.lock: permission denied"
    assert (third.value, third.error) == (1, None)


def test_a_value_with_an_error_keeps_both():
    wrong = EnvbuildError("differs")

    (result,) = for_each_project(
        projects("a"),
        lambda _, __: 8,
        machine=Machine(),
        error_of=lambda value: wrong if value == 8 else None,
    )

    assert (result.value, result.error) == (8, wrong)


def test_progress_says_which_project_it_is_of():
    written = Written()

    def work(_: Project, machine: Machine) -> None:
        machine.progress.on_stage("resolving")
        machine.progress.on_item("numpy")
        machine.progress.on_note("yanked")

    for_each_project(projects("a"), work, machine=Machine(progress=written))

    assert written.lines == ["a: resolving", "note: a: yanked"]
