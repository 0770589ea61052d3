"""Reproducible ML environments: lock, build and verify them from Python.

The functions below are what the commands of the same names do; docs/reference/python-api.md shows them.  They
are imported when they are first used, so that ``import envbuild`` stays quick.
"""

from typing import TYPE_CHECKING, Any

from envbuild.version import __version__

if TYPE_CHECKING:
    from envbuild.errors import EnvbuildError, ExitCode, Problem
    from envbuild.image.engine import ImageOutput
    from envbuild.progress import Progress
    from envbuild.workflows.build import BuildOptions, BuildResult, build_image
    from envbuild.workflows.diff import DiffResult, diff_locks
    from envbuild.workflows.lock import LockOptions, LockResult, lock_project
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project, open_project
    from envbuild.workflows.run import RunOptions, run_command
    from envbuild.workflows.status import ProjectStatus, StatusOptions, TargetStatus, project_status
    from envbuild.workflows.verify import VerifyOptions, VerifyResult, verify_image

__all__ = [
    "BuildOptions",
    "BuildResult",
    "DiffResult",
    "EnvbuildError",
    "ExitCode",
    "ImageOutput",
    "LockOptions",
    "LockResult",
    "Machine",
    "Problem",
    "Progress",
    "Project",
    "ProjectStatus",
    "RunOptions",
    "StatusOptions",
    "TargetStatus",
    "VerifyOptions",
    "VerifyResult",
    "__version__",
    "build_image",
    "diff_locks",
    "lock_project",
    "open_project",
    "project_status",
    "run_command",
    "verify_image",
]

_MODULES = {
    "errors": ("EnvbuildError", "ExitCode", "Problem"),
    "image.engine": ("ImageOutput",),
    "progress": ("Progress",),
    "workflows.build": ("BuildOptions", "BuildResult", "build_image"),
    "workflows.diff": ("DiffResult", "diff_locks"),
    "workflows.lock": ("LockOptions", "LockResult", "lock_project"),
    "workflows.machine": ("Machine",),
    "workflows.project": ("Project", "open_project"),
    "workflows.run": ("RunOptions", "run_command"),
    "workflows.status": ("ProjectStatus", "StatusOptions", "TargetStatus", "project_status"),
    "workflows.verify": ("VerifyOptions", "VerifyResult", "verify_image"),
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    from importlib import import_module  # noqa: PLC0415

    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"envbuild.{module}"), name)
    raise AttributeError(f"module 'envbuild' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
