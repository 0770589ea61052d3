"""Several specs in one repository: found, and worked on side by side."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from envbuild.errors import EnvbuildError, SpecError, UsageError, from_os_error
from envbuild.progress import Progress, SilentProgress
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import LOCK_NAME, SPEC_NAME, Project, open_project

JOBS = 4
"""Specs worked on at once: most of the time goes in waiting for servers and for other programs."""

_PASSED_OVER = frozenset({"node_modules", "__pycache__", "build", "dist", "site-packages"})

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ProjectResult(Generic[Value]):
    """What came of one of several projects."""

    project: Project
    value: Value | None = None
    """What the work returned; None when it failed before there was anything."""

    error: EnvbuildError | None = None
    """Why it failed."""


def open_projects(folder: Path | str | None = None, *, frozen: bool = False) -> tuple[Project, ...]:
    """Return all projects below ``folder``, by default the current one, sorted; their paths as it is named.

    With ``frozen`` folders that hold a lock alone are projects too.  A folder with two specs is a project
    whose spec cannot be read: an error of it alone.

    :raises SpecError: there is none.
    :raises UsageError: ``folder`` is a file.
    """
    root = Path(folder or "")
    if root.is_file():
        raise UsageError("--all looks below a folder", hint=f"name a folder with --spec, not `{root}`")
    found = tuple(_projects_below(root, frozen=frozen))
    if not found:
        raise SpecError(f"there is no spec below `{root}`", hint="`envbuild init` writes one")
    return found


def _projects_below(root: Path, *, frozen: bool) -> Iterator[Project]:
    # who names a project does not wait for what reads specs
    from envbuild.spec.load import PROJECT_FILE, holds_spec

    for folder, names, files in os.walk(root):
        names[:] = sorted(
            name for name in names if not name.startswith((".", "_")) and name not in _PASSED_OVER
        )
        here = Path(folder)
        # most folders of a large tree have none of the names
        is_possible = not {SPEC_NAME, PROJECT_FILE}.isdisjoint((*names, *files))
        if (is_possible and holds_spec(here)) or (frozen and LOCK_NAME in files):
            yield _project_in(here, frozen=frozen)


def _project_in(folder: Path, *, frozen: bool) -> Project:
    try:
        return open_project(folder, frozen=frozen).as_named()
    except SpecError as error:
        # told with what came of the others
        return Project(folder / SPEC_NAME, fault=error)


def for_each_project(
    projects: Sequence[Project],
    work: Callable[[Project, Machine], Value],
    *,
    machine: Machine,
    error_of: Callable[[Value], EnvbuildError | None] = lambda _: None,
    jobs: int = JOBS,
) -> tuple[ProjectResult[Value], ...]:
    """Return what ``work`` made of each project, several at a time; one that fails does not stop the others.

    ``error_of`` says what is wrong with a value that is there.  On Ctrl-C the programs that were started are
    ended, and what has not begun does not begin.
    """
    from envbuild import process
    from envbuild.parallel import run_all

    found: dict[int, ProjectResult[Value]] = {}

    def one(number: int) -> None:
        project = projects[number]
        named = replace(machine, progress=_LabelledProgress(machine.progress, project.label))
        try:
            value = work(project, named)
            found[number] = ProjectResult(project, value, error_of(value))
        except EnvbuildError as error:
            found[number] = ProjectResult(project, error=error)
        except OSError as error:
            found[number] = ProjectResult(project, error=from_os_error(error))

    # what is no error of ours is a bug, and ends everything
    run_all(one, range(len(projects)), workers=jobs, on_stop=process.end_all)
    return tuple(found[number] for number in range(len(projects)))


@dataclass(frozen=True, slots=True)
class _LabelledProgress(SilentProgress):
    """Says for which project each stage is; counts of several at once would contradict each other."""

    progress: Progress
    name: str

    def on_stage(self, text: str) -> None:
        self.progress.on_stage(f"{self.name}: {text}")

    def on_note(self, text: str) -> None:
        self.progress.on_note(f"{self.name}: {text}")
