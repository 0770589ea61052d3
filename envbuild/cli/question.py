"""Questions to a person on a terminal."""

import sys
from typing import TYPE_CHECKING, Protocol, TypeVar

import typer

from envbuild.errors import SourcesNeededError

if TYPE_CHECKING:
    from envbuild.cli.output import Output

Result_co = TypeVar("Result_co", covariant=True)


class LockAttempt(Protocol[Result_co]):
    """Locks; with ``add_builds`` what must be built from source is written into the spec."""

    def __call__(self, *, add_builds: bool) -> Result_co:
        """Return what came of it."""


def can_ask(output: "Output") -> bool:
    """Return whether a person is there to answer."""
    asked = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
    return asked and output.talk.isatty() and not output.quiet and not output.as_json


def confirm(output: "Output", question: str) -> bool:
    """Ask a person; anything but yes is no."""
    output.report([f"{question} [y/N]"])
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def with_builds_asked(output: "Output", attempt: LockAttempt[Result_co]) -> Result_co:
    """Return what ``attempt`` gives; on a terminal, ask whether packages may be built from source."""
    try:
        return attempt(add_builds=False)
    except SourcesNeededError as error:
        if not can_ask(output):
            raise
        output.error(error)
        if not confirm(output, f"build {', '.join(error.packages)} from source?"):
            raise typer.Exit(error.exit_code) from error
    return attempt(add_builds=True)
