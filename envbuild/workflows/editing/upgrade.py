"""`envbuild upgrade`: newer versions in the lock, of everything or of some packages."""

from collections.abc import Iterable, Iterator

from packaging.requirements import InvalidRequirement, Requirement

from envbuild.errors import UsageError
from envbuild.spec.edits.package_lists import Kind
from envbuild.spec.problems import RefusedError
from envbuild.workflows.editing.edit import Locking, OpenEdit
from envbuild.workflows.editing.options import UpgradeOptions
from envbuild.workflows.editing.result import EditResult
from envbuild.workflows.lock import LockOptions
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import texts_of
from envbuild.workflows.packages.names import unknown_names
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

    :raises UsageError: the lock has none of these names.
    :raises EnvbuildError: it cannot be locked; see :func:`envbuild.lock_project`.
    """
    locking = Locking(machine=machine or Machine())
    return upgrade_and_lock(project, names, options or UpgradeOptions(), locking)


def upgrade_and_lock(
    project: Project, names: Iterable[str], options: UpgradeOptions, locking: Locking
) -> EditResult:
    """Do what :func:`upgrade_packages` does, locked as ``locking`` says."""
    wanted = texts_of("names", names)
    if wanted and project.lock.exists():
        problems = unknown_names(wanted, (read_project_lock(project),))
        if problems:
            raise UsageError("nothing was upgraded", problems=problems)
    edit = OpenEdit(project)
    return edit.finish(
        (),
        locking,
        options=LockOptions(
            upgrade=not wanted, upgrade_packages=frozenset(wanted), add_builds=options.add_builds
        ),
        dry_run=options.dry_run,
        notes=tuple(_held(edit, wanted)),
    )


def _held(edit: OpenEdit, wanted: Iterable[str]) -> Iterator[str]:
    """Yield what the spec says of the packages named: a pin that no upgrade moves."""
    variants = (None, *sorted(edit.spec.variants))
    said: set[str] = set()
    for name in wanted:
        for variant in variants:
            edits = edit.edits(variant)
            try:
                found = edits.find(name)
            except RefusedError:
                continue
            for package_list, asked in found:
                if asked.where not in said and is_pin(package_list.kind, asked.text):
                    said.add(asked.where)
                    flags = [f"--{package_list.kind}"] if package_list.kind != "pip" else []
                    flags += ["--variant", variant] if variant else []
                    command = edit.project.command("add", *flags, asked.name)
                    yield f"`{asked.text}` in {asked.where} holds {asked.name}; to move it: {command}"


def is_pin(kind: Kind, text: str) -> bool:
    """Return whether a package is asked for in one version."""
    if kind == "apt":
        return "=" in text
    if kind == "conda":
        from envbuild.spec.conda_rules import parse_match_spec

        version = parse_match_spec(text).version
        return version is not None and version.startswith("==") and "," not in version
    try:
        specifiers = Requirement(text).specifier
    except InvalidRequirement:
        return False
    return any(
        item.operator == "===" or (item.operator == "==" and not item.version.endswith(".*"))
        for item in specifiers
    )
