"""`envbuild upgrade`: newer versions in the lock, of everything or of some packages."""

from collections.abc import Iterable
from dataclasses import replace

from envbuild.errors import UsageError
from envbuild.workflows.editing.edit import Locking, OpenEdit
from envbuild.workflows.editing.options import UpgradeOptions
from envbuild.workflows.editing.pins import notes_of_pins, problems_of_requirements
from envbuild.workflows.editing.result import EditResult
from envbuild.workflows.lock import LockOptions
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import texts_of
from envbuild.workflows.packages.names import notes_of_unknown, unknown_names
from envbuild.workflows.project import Project, read_project_lock


def upgrade_packages(
    project: Project,
    names: Iterable[str] = (),
    options: UpgradeOptions | None = None,
    *,
    machine: Machine | None = None,
) -> EditResult:
    """Lock ``project`` with the newest of ``names`` that satisfies the spec; without names, of everything.

    The spec stays as it is.  What it holds at one version is in the notes.

    A name that the new lock has not, where none was there before, is in the notes too.

    :raises UsageError: the lock that is there has none of these names, or one is a requirement.
    :raises EnvbuildError: it cannot be locked; see :func:`envbuild.lock_project`.
    """
    locking = Locking(machine=machine or Machine())
    return upgrade_and_lock(project, names, options or UpgradeOptions(), locking)


def upgrade_and_lock(
    project: Project, names: Iterable[str], options: UpgradeOptions, locking: Locking
) -> EditResult:
    """Do what :func:`upgrade_packages` does, locked as ``locking`` says."""
    wanted = texts_of("names", names)
    edit = OpenEdit(project)
    if wanted and (problems := tuple(problems_of_requirements(edit, wanted))):
        raise UsageError("nothing was upgraded", problems=problems)
    if wanted and project.lock.exists():
        problems = unknown_names(wanted, (read_project_lock(project),))
        if problems:
            raise UsageError("nothing was upgraded", problems=problems)
    result = edit.finish(
        (),
        locking,
        options=LockOptions(
            upgrade=not wanted, upgrade_packages=frozenset(wanted), add_builds=options.add_builds
        ),
        dry_run=options.dry_run,
        notes=tuple(notes_of_pins(edit, wanted)),
        command=("upgrade", *wanted),
    )
    # without a lock, or with one of another spec, only the new one tells
    locks = (result.lock.lock,) if result.lock else ()
    return replace(result, notes=(*result.notes, *notes_of_unknown(wanted, locks)))
