"""Locking one project: what `envbuild lock` does for each spec it is given."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from envbuild.cli.output import Activity
    from envbuild.errors import Problem
    from envbuild.lock.model import Lock
    from envbuild.resolve.resolvers import Resolvers
    from envbuild.workflows.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line says of locking."""

    check: bool = False
    everything: bool = False
    """Give up all of the previous lock."""

    packages: frozenset[str] = frozenset()
    """Packages to upgrade."""

    offline: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A lock that answers its spec."""

    project: "Project"
    lock: "Lock"
    written: bool
    """False: it did already."""


def lock_project(
    project: "Project",
    wish: Wish,
    *,
    open_resolvers: "Callable[[], AbstractContextManager[Resolvers]]",
    activity: "AbstractContextManager[Activity]",
    on_stale: "Callable[[Problem], None]",
) -> Outcome:
    """Return the lock of ``project``, written anew when it does not answer the spec.

    ``activity`` is entered only when there is something to do; ``on_stale`` sees what made the lock stale.

    :raises LockError: it does not answer, and only that was asked.
    """
    from envbuild.errors import NetworkError
    from envbuild.lock.freshness import stale_fields
    from envbuild.workflows.project import lock_missing, lock_stale, read_lock

    request = project.request
    previous = read_lock(project.lock) if project.lock.exists() else None
    stale = stale_fields(request, previous.request) if previous else ()
    if previous and not stale and not wish.everything and not wish.packages:
        return Outcome(project, previous, written=False)
    if wish.check:
        if previous is None:
            raise lock_missing(project.lock.name)
        raise lock_stale(project, stale)
    if wish.offline:
        raise NetworkError(
            "locking asks the index, the archive and the registry",
            hint="run `envbuild lock` with a network, then the other commands with --offline",
        )
    for problem in stale:
        on_stale(problem)

    from envbuild.catalog.active import catalog_in_force
    from envbuild.files import atomic
    from envbuild.lock.codec import dumps
    from envbuild.resolve.lock_environment import lock_environment
    from envbuild.resolve.resolvers import Upgrade

    with activity as progress, open_resolvers() as resolvers:
        lock = lock_environment(
            request,
            previous=previous,
            resolvers=resolvers,
            upgrade=Upgrade(wish.everything, wish.packages),
            progress=progress,
            catalog=catalog_in_force(),
        )
    atomic.write_text(project.lock, dumps(lock))
    return Outcome(project, lock, written=True)
