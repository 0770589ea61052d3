"""`envbuild add`: packages asked for in the spec, and locked."""

import posixpath
from collections.abc import Iterable
from pathlib import Path

from envbuild.errors import Problem, SpecError, UsageError
from envbuild.spec.edits.changes import SpecChange, SpecEdits
from envbuild.spec.edits.package_lists import Kind
from envbuild.spec.problems import RefusedError
from envbuild.workflows.editing.edit import Locking, OpenEdit
from envbuild.workflows.editing.options import AddOptions, flags_of
from envbuild.workflows.editing.result import EditResult
from envbuild.workflows.lock import LockOptions
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import texts_of
from envbuild.workflows.project import Project


def add_packages(
    project: Project,
    packages: Iterable[str],
    options: AddOptions | None = None,
    *,
    machine: Machine | None = None,
) -> EditResult:
    """Ask for ``packages`` in the spec of ``project``, and lock it.

    Each is a requirement (PEP 508), a package of the distribution with or without ``=version``, or a match
    spec of conda.  One whose name is there already is asked for anew, in its place.  Nothing is written
    before the lock is resolved: on any error all files are as they were.

    :raises UsageError: ``packages`` are none.
    :raises SpecError: one of them is no package, or its list cannot be edited.
    :raises EnvbuildError: it cannot be locked; see :func:`envbuild.lock_project`.
    """
    locking = Locking(machine=machine or Machine())
    return add_and_lock(project, packages, options or AddOptions(), locking)


def add_and_lock(
    project: Project, packages: Iterable[str], options: AddOptions, locking: Locking
) -> EditResult:
    """Do what :func:`add_packages` does, locked as ``locking`` says."""
    wanted = texts_of("packages", packages)
    if not wanted:
        raise UsageError("`packages` is empty", hint="name at least one")
    edit = OpenEdit(project)
    edits = edit.edits(options.variant)
    to = options.to and _file_of(options.to, options.kind, edits, project)
    changes: list[SpecChange] = []
    problems: list[Problem] = []
    notes: list[str] = []
    for package in wanted:
        try:
            change = edits.add(package, options.kind, group=options.group, to=to)
        except RefusedError as error:
            problems.append(error.at(package))
            continue
        if change is None:
            notes.append(f"the spec asks for `{package.strip()}` already")
        else:
            changes.append(change)
    if not problems and options.group is not None:
        try:
            if edits.take_group(options.group):
                notes.append(f"the spec takes group `{options.group}` from now on")
        except RefusedError as error:
            problems.append(error.at(options.group))
    if problems:
        raise SpecError("nothing was added", problems=problems)
    if changes:
        notes += edit.notes_of_variant(options.variant)
    return edit.finish(
        changes,
        locking,
        options=LockOptions(add_builds=options.add_builds) if options.lock else None,
        dry_run=options.dry_run,
        notes=notes,
        command=("add", *flags_of(options), *wanted),
    )


def _file_of(to: str, kind: Kind, edits: SpecEdits, project: Project) -> str:
    """Return the file of the spec that ``to`` means: as the spec has it, or from the current folder."""
    files = list(dict.fromkeys(package_list.file for package_list in edits.scope.package_lists(kind)))
    if posixpath.normpath(to) in map(posixpath.normpath, files):
        return to
    wanted = Path(to).resolve()
    return next((file for file in files if (project.folder / file).resolve() == wanted), to)
