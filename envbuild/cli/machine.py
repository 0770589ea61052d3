"""This machine, as the command line uses it: it may start itself again as root of a user namespace."""

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envbuild.progress import Progress
    from envbuild.workflows.machine import Machine

_started_in: list[Path] = []
"""The folder that the program was started in, where it left that one."""


def command_machine(progress: "Progress | None" = None, *, offline: bool = False) -> "Machine":
    """Return the machine of a command that reports to ``progress``.

    :raises ConfigurationError: the user's configuration file cannot be used.
    """
    from envbuild.progress import SILENT
    from envbuild.workflows.machine import Machine

    return Machine(offline=offline, progress=progress or SILENT, restart_as_root=_restart)


def enter_folders(folders: Iterable[Path]) -> None:
    """Make each folder the current one, one after the other, as ``git -C`` does.

    :raises UsageError: one is no folder that can be entered.
    """
    from envbuild.errors import UsageError

    for folder in folders:
        _started_in[:] = _started_in or [Path.cwd()]
        try:
            os.chdir(folder)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(f"-C: cannot change to `{folder}`: {reason}") from error


def leave_folders() -> None:
    """Go back to the folder that the program was started in, if it is still there and open to this user."""
    with contextlib.suppress(OSError):
        _go_back()


def _go_back() -> None:
    while _started_in:
        os.chdir(_started_in.pop())


def _restart() -> None:
    from envbuild.workflows.privileges import restart_program

    # the same arguments, -C among them, have to mean the same again
    _go_back()
    restart_program(sys.argv[1:], os.environ)
