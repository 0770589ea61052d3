"""`envbuild shell`: a shell in the locked image."""

from envbuild.workflows.containers.options import RunOptions
from envbuild.workflows.containers.run import PreparedRun, prepare_run
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project

COMMAND = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
"""One container tells which shell it has, and is it."""


def prepare_shell(
    project: Project, options: RunOptions | None = None, *, machine: Machine | None = None
) -> PreparedRun:
    """Return a shell ready to start: bash where the image has it, else sh.

    Its prompt names the environment, unless the image or ``options`` have one of their own.

    :raises UsageError: see :func:`envbuild.run_command`.
    :raises EnvbuildError: see :func:`envbuild.build_image`.
    """
    options = options or RunOptions()
    return prepare_run(project, COMMAND, options, machine=machine, is_shell=True)
