"""Which wheels share a layer: one planner for every engine.

A wheel of a megabyte or more is alone, so that the same wheel always makes the same layer whatever else an
environment holds; the many small ones share the last.  Large and stable at the bottom, small and volatile on
top: a change near the top leaves what lies below it as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from envbuild.lock.model import Wheel

ALONE_BYTES = 1_000_000
"""Size of a wheel file from which it gets a layer of its own.  In a 66-wheel environment the 15 wheels above
it held 97 % of all bytes (docs/adr/0002-engines-and-layers.md)."""

LAYERS = 40
"""The most layers of wheels that an image gets, by whichever engine."""

MOST_LAYERS = 120
"""Layers of an image, the base's included.

Docker's graph drivers stop at 125 (moby ``layer.maxLayerDepth``), at load or run rather than at build.
"""

FIXED_LAYERS = 5
"""The most layers that are neither the base's nor planned: a standalone Python, system packages, the empty
environment, the user and the lock, and executable files of several wheels."""

NAMED = 6
"""Wheels that a layer's comment names: a line's worth."""


class PackageFile(Protocol):
    """A wheel, or a conda package."""

    @property
    def file(self) -> str:
        """Its name."""

    @property
    def size(self) -> int:
        """Bytes."""


T = TypeVar("T", bound=PackageFile)


@dataclass(frozen=True, slots=True)
class WheelLayer:
    """Wheels that are installed together, in name order."""

    wheels: tuple[Wheel, ...]

    @property
    def size(self) -> int:
        """Bytes of the wheel files."""
        return sum(wheel.size for wheel in self.wheels)

    @property
    def comment(self) -> str:
        """What is in it, in a line."""
        names = [f"{wheel.name} {wheel.version}" for wheel in self.wheels]
        shown = ", ".join(names[:NAMED])
        return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def layer_budget(base_layers: int) -> int:
    """Return how many layers of wheels fit on a base of so many; 1 when there is no room at all."""
    return max(1, min(LAYERS, MOST_LAYERS - FIXED_LAYERS - base_layers))


def plan_wheel_layers(wheels: Iterable[Wheel], *, budget: int) -> tuple[WheelLayer, ...]:
    """Return at most ``budget`` layers, bottom first, that hold every wheel once.

    Membership follows the size threshold, not a rank, so it does not depend on neighbours; only when there
    are more layers than the budget allows are the two smallest large ones joined, again and again.
    """
    return tuple(WheelLayer(group) for group in plan_groups(wheels, budget=budget))


def plan_groups(items: Iterable[T], *, budget: int) -> tuple[tuple[T, ...], ...]:
    """Return the groups that files share a layer in, bottom first; the same rule whatever they are."""
    if budget < 1:
        raise ValueError("a plan needs at least one layer")
    ordered = sorted(items, key=lambda item: item.file)
    if not ordered:
        return ()
    small = tuple(item for item in ordered if item.size < ALONE_BYTES)
    large: list[tuple[T, ...]] = [(item,) for item in ordered if item.size >= ALONE_BYTES]
    room = budget - 1 if small else budget
    if room == 0:
        return (tuple(ordered),)
    while len(large) > room:
        large.sort(key=_weight)
        first, second, *rest = large
        large = [*rest, tuple(sorted((*first, *second), key=lambda item: item.file))]
    large.sort(key=_weight, reverse=True)
    return (*large, *((small,) if small else ()))


def _weight(group: tuple[PackageFile, ...]) -> tuple[int, str]:
    return sum(item.size for item in group), group[0].file
