"""Questions to a person on a terminal."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envbuild.cli.output import Output


def can_ask(output: "Output") -> bool:
    """Return whether a person is there to answer."""
    asked = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
    return asked and output.talk.isatty() and not output.quiet and not output.as_json


def confirm(output: "Output", question: str) -> bool:
    """Ask a person; anything but yes is no."""
    output.report([f"{question} [y/N]"])
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
