"""Results of several specs: one table, and each error whole."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from envbuild.cli.output import Activity, LineActivity, Output, error_text
from envbuild.errors import ExitCode
from envbuild.workflows.machine import Machine
from envbuild.workflows.many import ProjectResult, for_each_project, open_projects
from envbuild.workflows.project import Project, open_project

Value = TypeVar("Value")


def projects_of(spec: Path | None, *, every: bool, frozen: bool) -> tuple[Project, ...]:
    """Return the one project of ``spec``, or with ``every`` all those below that folder, sorted.

    :raises SpecError: there is none.
    :raises UsageError: ``every`` with the name of a file.
    """
    return open_projects(spec, frozen=frozen) if every else (open_project(spec, frozen=frozen),)


def tell_results(
    output: Output,
    results: Sequence[ProjectResult[Value]],
    *,
    summary: Callable[[Value], str],
    document: Callable[[Value], Mapping[str, object]],
) -> ExitCode:
    """Tell what came of all projects and return the worst exit code.

    ``summary`` is one line of what was made, ``document`` its part of the JSON data.
    """
    if output.as_json:
        output.document(
            [
                _entry(result, _line(result, summary))
                | dict({} if result.value is None else document(result.value))
                for result in results
            ]
        )
    return _tell(output, [(result, _line(result, summary)) for result in results])


def _tell(output: Output, results: Sequence[tuple[ProjectResult[Value], str]]) -> ExitCode:
    """Tell each error whole, then all in one table."""
    for result, _ in results:
        if result.error:
            output.talk.write(f"\n{result.project.label}\n{error_text(result.error, output)}")
    if any(result.error for result, _ in results):
        output.say("")
    output.table(
        [(result.project.label, "failed" if result.error else "ok", line) for result, line in results],
        header=("spec", "", ""),
    )
    return max((result.error.exit_code for result, _ in results if result.error), default=ExitCode.OK)


def _entry(result: ProjectResult[Value], line: str) -> dict[str, object]:
    return {
        "spec": result.project.label,
        "ok": result.error is None,
        "summary": line,
        "exit-code": int(result.error.exit_code) if result.error else 0,
    }


def _line(result: ProjectResult[Value], summary: Callable[[Value], str]) -> str:
    if result.error:
        return result.error.message
    return "" if result.value is None else summary(result.value)


# what follows is for commands that do not yet call tell_results


def work_on(
    projects: Sequence[Project], work: Callable[[Project, Activity], str], *, output: Output
) -> tuple[ProjectResult[str], ...]:
    """Return what ``work`` made of each project."""

    def act(project: Project, machine: Machine) -> str:
        return work(project, machine.progress)  # type: ignore[arg-type] # is one of Activity's methods

    return for_each_project(projects, act, machine=Machine(progress=LineActivity(output)))


def document(
    results: Sequence[ProjectResult[str]], more: Mapping[Project, Mapping[str, object]]
) -> list[dict[str, object]]:
    """Return the results as plain JSON values, each with ``more`` of its project where there is any."""
    return [_entry(result, _line(result, str)) | dict(more.get(result.project, {})) for result in results]


def tell(output: Output, results: Sequence[ProjectResult[str]]) -> ExitCode:
    """Tell what came of all projects and return the worst exit code."""
    return _tell(output, [(result, _line(result, str)) for result in results])


def shown(project: Project) -> str:
    """Return the folder of a project as a person in the current one calls it."""
    return project.label
