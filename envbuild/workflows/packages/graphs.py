"""The graphs of a project's lock, and the packages that somebody names."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from envbuild.errors import EnvbuildError, UsageError
from envbuild.lock.graph.model import KINDS, LockedPackage, PackageGraph, PackageKey, PackageKind
from envbuild.workflows.options import refuse_other
from envbuild.workflows.project import Project, read_lock_text

if TYPE_CHECKING:
    from envbuild.lock.graph.read import GraphTarget, LockedTargets

__all__ = ["KINDS", "PackageKind"]


def locked_targets(project: Project) -> "LockedTargets":
    """Return the targets of a project's lock.  Its spec is not read.

    :raises LockError: the lock is missing or cannot be used.
    """
    from envbuild.lock.graph.read import read_targets

    return read_targets(read_lock_text(project.lock, shown=project.shown(project.lock)))


def chosen_target(locked: "LockedTargets", *, variant: str | None, platform: str | None) -> "GraphTarget":
    """Return the one target a command line means; see :func:`envbuild.lock.target_choice.choose_locked`."""
    from envbuild import platforms
    from envbuild.lock.target_choice import choose_locked

    return choose_locked(
        locked.targets,
        default=locked.default_variant,
        variant=variant,
        platform=platform,
        host=platforms.host(),
    )


def chosen_targets(
    locked: "LockedTargets", *, variant: str | None, platform: str | None
) -> "tuple[GraphTarget, ...]":
    """Return every target of this variant and platform, None meaning all, those of the default variant first.

    :raises UsageError: there is none.
    """
    found = [
        target
        for target in locked.targets
        if variant in {None, target.variant} and platform in {None, target.platform}
    ]
    if not found:
        known = ", ".join(f"{target.variant} on {target.platform}" for target in locked.targets)
        raise UsageError("the lock has no such variant and platform", hint=f"targets of this lock: {known}")
    return tuple(sorted(found, key=lambda one: (one.variant != locked.default_variant, one.variant)))


def refuse_kind(kind: str | None) -> None:
    """Return if ``kind`` is one of :data:`KINDS`, or None.  :raises UsageError: it is another one."""
    refuse_other("kind", kind, KINDS)


def named_packages(
    graphs: Sequence[PackageGraph], name: str, kind: PackageKind | None, *, project: Project
) -> tuple[tuple[PackageGraph, LockedPackage], ...]:
    """Return every package called ``name``, with its graph.

    :raises UsageError: there is none.
    """
    found = tuple((graph, package) for graph in graphs for package in graph.named(name, kind))
    if found:
        return found
    near = dict.fromkeys(other for graph in graphs for other in graph.near(name, kind))
    hints = [f"did you mean {_alternatives(list(near)[:3])}?"] if near else []
    if is_stale(project):
        hints.append(f"{project.spec.name} has changed since it was locked: run `envbuild lock`")
    others = sorted({package.kind for graph in graphs for package in graph.named(name)})
    if others:
        hints.insert(0, f"it is there as a {' and a '.join(others)}")
    what = f"package `{name}`" if kind is None else f"{kind} `{name}`"
    raise UsageError(f"the lock has no {what}", hint="; ".join(hints) or None)


def is_stale(project: Project) -> bool:
    """Return whether the lock is known not to answer the spec; a spec that cannot be read says nothing."""
    from envbuild.lock.freshness import stale_fields
    from envbuild.workflows.project import read_project_lock

    try:
        return bool(stale_fields(project.request, read_project_lock(project).request))
    except (EnvbuildError, OSError):
        return False


def _alternatives(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def identifier(key: PackageKey) -> str:
    """Return a package's name in JSON documents: ``wheel:numpy``, ``build:deb:gcc==12.2.0-3``."""
    part, kind, name = key
    return f"{kind}:{name}" if part == "environment" else f"{part}:{kind}:{name}"


def package_document(package: LockedPackage) -> dict[str, object]:
    """Return a package as plain JSON values."""
    return {
        "id": identifier(package.key),
        "kind": package.kind,
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "size": package.size,
        "part": package.part,
    }


def sorted_ids(keys: Iterable[PackageKey]) -> list[str]:
    """Return the identifiers of packages, sorted."""
    return sorted(map(identifier, keys))
