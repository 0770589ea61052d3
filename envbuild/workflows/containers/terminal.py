"""Whether a command gets a terminal, and what it is told of this one."""

import os
import re
import sys
import threading
from collections.abc import Mapping
from typing import TextIO

from envbuild.errors import UsageError

_KNOWN = re.compile(r"(xterm|screen|tmux|rxvt)(-(16|88|256)color)?|linux|vt100|dumb")
"""Names of terminals that the systems of images know (ncurses-base)."""


def on_terminal(wanted: bool | None) -> bool:  # noqa: FBT001 - the option itself
    """Return whether a command gets a terminal: where a person sits at one, unless ``wanted`` says so.

    Not in the background: a program that touches the terminal there is stopped.  Nor from another thread than
    the main one, which alone learns of a new size.

    :raises UsageError: it is wanted, and there is none.
    """
    is_main = threading.current_thread() is threading.main_thread()
    has_one = is_main and _is_terminal(sys.stdin) and _is_terminal(sys.stdout) and _in_foreground()
    if wanted and not has_one:
        raise UsageError(
            "--tty: standard input and output are no terminal, or not this job's",
            hint="leave it out: on a terminal a command gets one by itself",
        )
    return has_one if wanted is None else wanted


def passes_input() -> bool:
    """Return whether a command is given this process' standard input.

    Not that of a terminal in the background: it belongs to what is in the foreground.
    """
    # a program whose standard input is closed has none at all
    if sys.stdin is None or sys.stdin.closed:
        return False
    return not sys.stdin.isatty() or _in_foreground()


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except (OSError, AttributeError):
        return False


def terminal_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what programs ask of the terminal that they are on."""
    term = environment.get("TERM", "")
    colours = environment.get("COLORTERM")
    return {
        # programs in the image do not know the names of newer ones, which can all do what this one can
        "TERM": term if _KNOWN.fullmatch(term) else "xterm-256color",
        **({"COLORTERM": colours} if colours else {}),
    }
