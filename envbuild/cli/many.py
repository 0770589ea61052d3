"""Results of several specs: one table, and each error whole."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from envbuild.cli.output import Output
from envbuild.cli.project import project_of
from envbuild.errors import ExitCode
from envbuild.workflows.many import ProjectResult, open_projects
from envbuild.workflows.project import Project

Value = TypeVar("Value")


def projects_of(spec: Path | None, *, every: bool, frozen: bool) -> tuple[Project, ...]:
    """Return the one project of ``spec``, or with ``every`` all those below that folder, sorted.

    :raises SpecError: there is none.
    :raises UsageError: ``every`` with the name of a file.
    """
    return open_projects(spec, frozen=frozen) if every else (project_of(spec, frozen=frozen),)


def tell_results(
    output: Output,
    results: Sequence[ProjectResult[Value]],
    *,
    summary: Callable[[Value], str],
    document: Callable[[Value], Mapping[str, object]],
) -> ExitCode:
    """Tell what came of all projects, each error whole and all in one table, and return the worst exit code.

    ``summary`` is one line of what was made, ``document`` its part of the JSON data.
    """
    lines = [(result, _line(result, summary)) for result in results]
    if output.as_json:
        output.document(
            [
                {
                    "spec": result.project.label,
                    "ok": result.error is None,
                    "summary": line,
                    "exit-code": int(result.error.exit_code) if result.error else 0,
                    **({} if result.value is None else document(result.value)),
                }
                for result, line in lines
            ]
        )
    errors = [(result.project.label, result.error) for result in results if result.error]
    for label, error in errors:
        output.report(["", label])
        output.error(error)
    if errors:
        output.say("")
    output.table(
        [(result.project.label, "failed" if result.error else "ok", line) for result, line in lines],
        header=("spec", "", ""),
    )
    return max((error.exit_code for _, error in errors), default=ExitCode.OK)


def _line(result: ProjectResult[Value], summary: Callable[[Value], str]) -> str:
    if result.error:
        return result.error.message
    return "" if result.value is None else summary(result.value)
