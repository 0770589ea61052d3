"""Names of packages that were typed, and whether a lock has them."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envbuild.errors import Problem
from envbuild.spec.problems import near

if TYPE_CHECKING:
    from envbuild.lock.model import Lock


def unknown_names(names: Iterable[str], locks: Iterable["Lock"]) -> tuple[Problem, ...]:
    """Return a problem for each of ``names`` that no package of ``locks`` has, of whatever kind."""
    locked = {
        package.name for lock in locks for found in (lock.wheels, lock.conda, lock.debs) for package in found
    }
    return tuple(
        Problem(name, "the lock has no package of that name", near(canonicalize_name(name), locked))
        for name in names
        if name not in locked and canonicalize_name(name) not in locked
    )


def notes_of_unknown(names: Iterable[str], locks: Iterable["Lock"]) -> Iterator[str]:
    """Yield a note for each of ``names``, which were to be upgraded, that no lock has."""
    for problem in unknown_names(names, locks):
        also = f"; {problem.hint}" if problem.hint else ""
        yield f"nothing to upgrade: the lock has no package `{problem.where}`{also}"
