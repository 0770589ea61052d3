"""This machine, as the command line uses it: it may start itself again as root of a user namespace."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envbuild.progress import Progress
    from envbuild.workflows.machine import Machine


def command_machine(progress: "Progress | None" = None, *, offline: bool = False) -> "Machine":
    """Return the machine of a command that reports to ``progress``."""
    from envbuild.progress import SILENT
    from envbuild.workflows.machine import Machine

    return Machine(
        environment=os.environ, offline=offline, progress=progress or SILENT, restart_as_root=_restart
    )


def _restart() -> None:
    from envbuild.workflows.privileges import restart_program

    restart_program(sys.argv[1:], os.environ)
