"""What the commands that edit a spec have in common: their options, and how they say what changed."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from envbuild.cli.next_step import tell_next

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.editing.edit import Locking
    from envbuild.workflows.editing.result import EditResult
    from envbuild.workflows.project import Project

VariantOnly = Annotated[
    str | None,
    typer.Option(
        "--variant",
        help="This variant alone; `default` is what all variants share.",
        show_default="what all variants share",
    ),
]
Group = Annotated[
    str | None, typer.Option("--group", help="This dependency group of pyproject.toml.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")]
NoLock = Annotated[bool, typer.Option("--no-lock", help="Edit the spec alone.")]


class EditWork(Protocol):
    """Edits a project and locks it."""

    def __call__(self, project: "Project", locking: "Locking", *, add_builds: bool) -> "EditResult":
        """Return what came of it."""


def run_edit(
    output: "Output",
    edit: EditWork,
    *,
    spec: Path | None,
    offline: bool,
    add_builds: bool,
    nothing: str = "nothing to do",
) -> None:
    """Edit the project of ``spec`` and tell what changed; ``nothing`` is said where nothing did."""
    from envbuild.cli.project import project_of
    from envbuild.cli.question import with_builds_asked
    from envbuild.cli.text.edit import as_lines

    attempt = partial(_attempt, output, edit, project_of(spec), offline=offline, asked=add_builds)
    result = with_builds_asked(output, attempt)
    for note in result.notes:
        output.note(note)
    if output.as_json:
        output.document(result.document())
        return
    for line in as_lines(result, nothing=nothing):
        output.say(line)
    if result.dry_run:
        return
    if result.lock is None:
        tell_next(output, result.project, "lock")
    elif result.lock.written:
        tell_next(output, result.project, "build")


def _attempt(
    output: "Output", edit: EditWork, project: "Project", *, offline: bool, asked: bool, add_builds: bool
) -> "EditResult":
    from envbuild.cli.machine import command_machine
    from envbuild.workflows.editing.edit import Locking

    with output.activity() as progress:
        locking = Locking(
            machine=command_machine(progress, offline=offline),
            on_stale=lambda _, problem: output.detail(str(problem)),
        )
        return edit(project, locking, add_builds=asked or add_builds)
