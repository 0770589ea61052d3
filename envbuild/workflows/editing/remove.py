"""`envbuild remove`: packages that the spec asks for no more, and a lock without them."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.errors import LockError, Problem, SpecError, UsageError
from envbuild.spec.edits.changes import SpecChange, SpecEdits, not_in_spec, spelled
from envbuild.spec.edits.package_lists import KINDS, Kind
from envbuild.spec.problems import RefusedError, alternatives
from envbuild.workflows.editing.edit import Locking, OpenEdit
from envbuild.workflows.editing.options import RemoveOptions, flags_of
from envbuild.workflows.editing.result import EditResult
from envbuild.workflows.lock import LockOptions
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import texts_of
from envbuild.workflows.project import Project, read_project_lock

if TYPE_CHECKING:
    from envbuild.lock.model import Lock

_MOST_NAMED = 3
"""Packages that are named as those which require another one."""


def remove_packages(
    project: Project,
    names: Iterable[str],
    options: RemoveOptions | None = None,
    *,
    machine: Machine | None = None,
) -> EditResult:
    """Take packages out of the spec of ``project``, wherever it asks for them, and lock it.

    Nothing is written before the lock is resolved: on any error all files are as they were.

    :raises UsageError: ``names`` are none.
    :raises SpecError: the spec does not ask for one of them, or it stands where nothing is edited.
    :raises EnvbuildError: it cannot be locked; see :func:`envbuild.lock_project`.
    """
    locking = Locking(machine=machine or Machine())
    return remove_and_lock(project, names, options or RemoveOptions(), locking)


def remove_and_lock(
    project: Project, names: Iterable[str], options: RemoveOptions, locking: Locking
) -> EditResult:
    """Do what :func:`remove_packages` does, locked as ``locking`` says."""
    wanted = dict.fromkeys(texts_of("names", names))
    if not wanted:
        raise UsageError("`names` is empty", hint="name at least one package")
    edit = OpenEdit(project)
    edits = edit.edits(options.variant)
    changes: list[SpecChange] = []
    problems: list[Problem] = []
    for name in wanted:
        try:
            kind = _kind_of(name, edits, options)
            if kind is None:
                problems.append(_missing(name, edit, edits, options))
            else:
                changes += edits.remove(name, kind, group=options.group)
        except RefusedError as error:
            problems.append(error.at(name))
    if problems:
        raise SpecError("nothing was removed", problems=problems)
    return edit.finish(
        changes,
        locking,
        options=LockOptions(add_builds=options.add_builds) if options.lock else None,
        dry_run=options.dry_run,
        notes=edit.notes_of_variant(options.variant),
        command=("remove", *flags_of(options), *wanted),
    )


def _kinds(options: RemoveOptions) -> tuple[Kind, ...]:
    if options.group is not None:
        return ("pip",)
    return KINDS if options.kind is None else (options.kind,)


def _kind_of(name: str, edits: SpecEdits, options: RemoveOptions) -> Kind | None:
    """Return whose package ``name`` is; None when the spec asks for none of that name."""
    kinds = {package_list.kind for package_list, _ in edits.find(name, _kinds(options), group=options.group)}
    if len(kinds) > 1:
        flags = [f"--{kind}" for kind in KINDS if kind in kinds]
        raise RefusedError(f"the spec has it {len(kinds)} times", hint=f"choose with {alternatives(flags)}")
    return next(iter(kinds), None)


def _missing(name: str, edit: OpenEdit, edits: SpecEdits, options: RemoveOptions) -> Problem:
    kinds = _kinds(options)
    commands = []
    spec = edit.spec
    for variant in (None, *sorted(spec.variants)):
        other = edit.edits(variant)
        if other.scope.variant == edits.scope.variant and options.group is None and options.kind is None:
            continue
        for package_list, _ in other.find(name):
            options_of = [] if other.scope.variant is None else ["--variant", other.scope.variant]
            if package_list.kind != "pip" and options.kind is not None:
                options_of.append(f"--{package_list.kind}")
            command = edit.project.command("remove", *options_of, name)
            commands.append(command)
    return not_in_spec(
        name, edits, kinds, group=options.group, elsewhere=list(dict.fromkeys(commands)), why=_why(name, edit)
    )


def _why(name: str, edit: OpenEdit) -> str | None:
    """Return which locked packages require one that is locked; None when it is not, or nothing does."""
    try:
        lock = read_project_lock(edit.project)
    except LockError:
        return None
    by = dict.fromkeys(sorted(_requiring(name, lock)))
    if not by:
        return None
    named = [f"`{item}`" for item in list(by)[:_MOST_NAMED]]
    more = f" and {len(by) - _MOST_NAMED} more" if len(by) > _MOST_NAMED else ""
    return f"{', '.join(named)}{more} require{'s' if len(by) == 1 else ''} it"


def _requiring(name: str, lock: "Lock") -> Iterator[str]:
    pip, conda = spelled("pip", name), spelled("conda", name)
    for wheel in lock.wheels:
        if any(canonicalize_name(Requirement(line).name) == pip for line in wheel.requires):
            yield wheel.name
    for package in lock.conda:
        if any(line.split()[0] == conda for line in package.depends):
            yield package.name
    for deb in lock.debs:
        if any(name in re.findall(r"(?:^|\|)\s*([^\s(:|]+)", line) for line in deb.depends):
            yield deb.name
