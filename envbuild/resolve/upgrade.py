"""How much of a previous lock may change without need."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from packaging.utils import canonicalize_name


class Named(Protocol):
    """A locked package."""

    @property
    def name(self) -> str:
        """Its name, normalised where it is Python's."""


N = TypeVar("N", bound=Named)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What is to be upgraded: everything, or some packages."""

    everything: bool = False
    packages: frozenset[str] = frozenset()
    """Names of Python, Debian and conda packages, as somebody wrote them."""

    def touches(self, names: Iterable[str]) -> bool:
        """Return whether any of ``names`` is to be upgraded."""
        return self.everything or not self._names.isdisjoint(names)

    def kept(self, locked: Iterable[N]) -> tuple[N, ...]:
        """Return the locked packages that are not to be upgraded."""
        names = self._names
        return () if self.everything else tuple(item for item in locked if item.name not in names)

    @property
    def _names(self) -> frozenset[str]:
        return self.packages | {canonicalize_name(name) for name in self.packages}


NO_UPGRADE: Final = Upgrade()
