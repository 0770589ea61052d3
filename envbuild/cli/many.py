"""Several specs in one repository: found, worked on side by side, and told in one table."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envbuild import process
from envbuild.cli.output import Activity, LineActivity, Output, error_text, told
from envbuild.errors import EnvbuildError, ExitCode, SpecError, UsageError
from envbuild.parallel import run_all
from envbuild.workflows.project import LOCK_NAME, SPEC_NAME, Project, open_project

JOBS = 4
"""Specs worked on at once: most of the time goes in waiting for servers and for other programs."""

_PASSED_OVER = frozenset({"node_modules", "__pycache__", "build", "dist", "site-packages"})


@dataclass(frozen=True, slots=True)
class ProjectResult:
    """What came of one spec."""

    project: Project
    summary: str
    """One line; empty when it failed."""

    error: EnvbuildError | None = None


def projects_of(spec: Path | None, *, every: bool, frozen: bool) -> tuple[Project, ...]:
    """Return the one project of ``spec``, or with ``every`` all those below that folder, sorted.

    :raises SpecError: there is none.
    :raises UsageError: ``every`` with the name of a file.
    """
    if not every:
        return (open_project(spec, frozen=frozen),)
    root = spec or Path()
    if root.is_file():
        raise UsageError("--all looks below a folder", hint=f"name a folder with --spec, not `{root}`")
    found = tuple(_projects_below(root, frozen=frozen))
    if not found:
        raise SpecError(f"there is no spec below `{root}`", hint="`envbuild init` writes one")
    return found


def _projects_below(root: Path, *, frozen: bool) -> Iterator[Project]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(
            name for name in names if not name.startswith((".", "_")) and name not in _PASSED_OVER
        )
        here = Path(folder)
        if SPEC_NAME in files or (frozen and LOCK_NAME in files) or _has_table(here, files):
            yield open_project(here, frozen=frozen)


def _has_table(folder: Path, files: Sequence[str]) -> bool:
    from envbuild.spec.load import PROJECT_FILE, PROJECT_TABLE

    if PROJECT_FILE not in files:
        return False
    # a table of that name, or a part of it; whether the file is right is for its reader to say
    text = (folder / PROJECT_FILE).read_text(encoding="utf-8", errors="replace")
    return any(
        line.strip().startswith((f"[{PROJECT_TABLE}]", f"[{PROJECT_TABLE}.")) for line in text.splitlines()
    )


def work_on(
    projects: Sequence[Project],
    work: Callable[[Project, Activity], str],
    *,
    output: Output,
    jobs: int = JOBS,
) -> tuple[ProjectResult, ...]:
    """Return what ``work`` made of each project, several at a time; one that fails does not stop the others.

    On Ctrl-C the programs that were started are ended, and what has not begun does not begin.
    """
    found: dict[int, ProjectResult] = {}

    def one(number: int) -> None:
        project = projects[number]
        try:
            found[number] = ProjectResult(project, work(project, _Named(output, shown(project))))
        except EnvbuildError as error:
            found[number] = ProjectResult(project, "", error)
        except OSError as error:
            found[number] = ProjectResult(project, "", told(error))

    # what is no error of ours is a bug, and ends everything
    run_all(one, range(len(projects)), workers=jobs, on_stop=process.end_all)
    return tuple(found[number] for number in range(len(projects)))


def tell(output: Output, results: Sequence[ProjectResult]) -> ExitCode:
    """Tell what came of all of them: the table, then each error whole.  Return the worst exit code."""
    for result in results:
        if result.error:
            output.talk.write(f"\n{shown(result.project)}\n{error_text(result.error, output)}")
    if any(result.error for result in results):
        output.say("")
    output.table(
        [(shown(result.project), "failed" if result.error else "ok", _line(result)) for result in results],
        header=("spec", "", ""),
    )
    return max((result.error.exit_code for result in results if result.error), default=ExitCode.OK)


def shown(project: Project) -> str:
    """Return the folder of a project as a person in the current one calls it."""
    return project.folder.as_posix()


def document(
    results: Sequence[ProjectResult], more: Mapping[Project, Mapping[str, object]]
) -> list[dict[str, object]]:
    """Return the results as plain JSON values, each with ``more`` of its project where there is any."""
    return [
        {
            "spec": shown(result.project),
            "ok": result.error is None,
            "summary": _line(result),
            "exit-code": int(result.error.exit_code) if result.error else 0,
            **more.get(result.project, {}),
        }
        for result in results
    ]


def _line(result: ProjectResult) -> str:
    return result.error.message if result.error else result.summary


class _Named(LineActivity):
    """Says what is done, and for which spec."""

    def __init__(self, output: Output, name: str) -> None:
        super().__init__(output)
        self._name = name

    def on_stage(self, text: str) -> None:
        """Say the stage."""
        super().on_stage(f"{self._name}: {text}")

    def on_note(self, text: str) -> None:
        """Say the note."""
        super().on_note(f"{self._name}: {text}")
