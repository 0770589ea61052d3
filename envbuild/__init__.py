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
    from envbuild.workflows.containers.options import RunOptions
    from envbuild.workflows.containers.run import run_command
    from envbuild.workflows.diff import DiffResult, diff_locks
    from envbuild.workflows.editing.add import add_packages
    from envbuild.workflows.editing.options import AddOptions, RemoveOptions, UpgradeOptions
    from envbuild.workflows.editing.remove import remove_packages
    from envbuild.workflows.editing.result import EditResult, SpecChange
    from envbuild.workflows.editing.upgrade import upgrade_packages
    from envbuild.workflows.images.listing import ImageList, ImagesOptions, ListedImage, list_images
    from envbuild.workflows.images.removal import (
        RemovalOptions,
        RemovalResult,
        images_to_remove,
        remove_images,
    )
    from envbuild.workflows.images.transfer import TransferOptions, TransferResult, pull_image, push_image
    from envbuild.workflows.lock import LockOptions, LockResult, lock_project
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.packages.outdated import OutdatedOptions, OutdatedResult, outdated_packages
    from envbuild.workflows.packages.tree import PackageTree, TreeOptions, package_tree
    from envbuild.workflows.packages.why import WhyOptions, WhyResult, why_package
    from envbuild.workflows.project import Project, open_project
    from envbuild.workflows.status import ProjectStatus, StatusOptions, TargetStatus, project_status
    from envbuild.workflows.verify import VerifyOptions, VerifyResult, verify_image

__all__ = [
    "AddOptions",
    "BuildOptions",
    "BuildResult",
    "DiffResult",
    "EditResult",
    "EnvbuildError",
    "ExitCode",
    "ImageList",
    "ImageOutput",
    "ImagesOptions",
    "ListedImage",
    "LockOptions",
    "LockResult",
    "Machine",
    "OutdatedOptions",
    "OutdatedResult",
    "PackageTree",
    "Problem",
    "Progress",
    "Project",
    "ProjectStatus",
    "RemovalOptions",
    "RemovalResult",
    "RemoveOptions",
    "RunOptions",
    "SpecChange",
    "StatusOptions",
    "TargetStatus",
    "TransferOptions",
    "TransferResult",
    "TreeOptions",
    "UpgradeOptions",
    "VerifyOptions",
    "VerifyResult",
    "WhyOptions",
    "WhyResult",
    "__version__",
    "add_packages",
    "build_image",
    "diff_locks",
    "images_to_remove",
    "list_images",
    "lock_project",
    "open_project",
    "outdated_packages",
    "package_tree",
    "project_status",
    "pull_image",
    "push_image",
    "remove_images",
    "remove_packages",
    "run_command",
    "upgrade_packages",
    "verify_image",
    "why_package",
]

_MODULES = {
    "errors": ("EnvbuildError", "ExitCode", "Problem"),
    "image.engine": ("ImageOutput",),
    "progress": ("Progress",),
    "workflows.build": ("BuildOptions", "BuildResult", "build_image"),
    "workflows.diff": ("DiffResult", "diff_locks"),
    "workflows.editing.add": ("add_packages",),
    "workflows.editing.options": ("AddOptions", "RemoveOptions", "UpgradeOptions"),
    "workflows.editing.remove": ("remove_packages",),
    "workflows.editing.result": ("EditResult", "SpecChange"),
    "workflows.editing.upgrade": ("upgrade_packages",),
    "workflows.images.listing": ("ImageList", "ImagesOptions", "ListedImage", "list_images"),
    "workflows.images.removal": ("RemovalOptions", "RemovalResult", "images_to_remove", "remove_images"),
    "workflows.images.transfer": ("TransferOptions", "TransferResult", "pull_image", "push_image"),
    "workflows.lock": ("LockOptions", "LockResult", "lock_project"),
    "workflows.machine": ("Machine",),
    "workflows.packages.outdated": ("OutdatedOptions", "OutdatedResult", "outdated_packages"),
    "workflows.packages.tree": ("PackageTree", "TreeOptions", "package_tree"),
    "workflows.packages.why": ("WhyOptions", "WhyResult", "why_package"),
    "workflows.project": ("Project", "open_project"),
    "workflows.containers.options": ("RunOptions",),
    "workflows.containers.run": ("run_command",),
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
