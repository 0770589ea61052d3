"""The data of a recorded run: linked into its checkout where it is here, fetched where it is not."""

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from envbuild.digest import sha256_file
from envbuild.errors import from_os_error

if TYPE_CHECKING:
    from envbuild.lock.data import LockedData
    from envbuild.records.found import FoundRun
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project
    from envbuild.workflows.runs.locks import RunLock


def link_data(found: "FoundRun", checkout: "Project", project: "Project", machine: "Machine") -> None:
    """Link data that git has not into a checkout: to where the project here has it.

    Whether it is the data of the run is found out when it is mounted.

    :raises EnvbuildError: a link cannot be made.
    """
    from envbuild.workflows.runs.locks import lock_of_run

    lock = lock_of_run(found, checkout, machine)
    for data in lock.lock.data if lock else ():
        place, here = checkout.folder / data.path, project.folder / data.path
        if PurePosixPath(data.path).is_absolute():
            continue
        if place.exists() or place.is_symlink() or not here.exists():
            continue
        # a link of the commit may lead out of it: what is not linked is said to be missing when it is mounted
        if not _is_inside(checkout.folder, place.parent):
            continue
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(here.resolve())
        except OSError as error:
            raise from_os_error(error) from error


def _is_inside(folder: Path, place: Path) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))


def missing_data(lock: "RunLock", project: "Project") -> "list[LockedData]":
    """Return the data of a lock that is not on this machine and can be fetched.

    It is fetched by the lock in the folder: where that is another one, nothing is.
    """
    missing = [data for data in lock.lock.data if not (project.folder / data.path).exists()]
    if not missing or not project.lock.is_file() or sha256_file(project.lock) != lock.sha256:
        return []
    return [data for data in missing if data.kind != "files"]
