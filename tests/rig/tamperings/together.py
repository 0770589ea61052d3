"""Many tamperings in one image: a report that names each costs one verification."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.rig.good_image import GoodImage
from tests.rig.tampering import Change, Tampering

ALONE = frozenset(
    {
        "answers for itself",
        "how the configuration is written",
        "makes the verifier suffer",
        "order of a layer",
        "platform",
        "seen through a mount",
    }
)
"""Classes whose tamperings would hide others, or be hidden by them."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tamperings that leave each other alone, and the image that has them all."""

    whole: Tampering
    parts: tuple[Tampering, ...]


def batches(good: GoodImage, tamperings: Iterable[Tampering]) -> Iterator[Batch]:
    """Yield all that can be together, in as few images as that takes."""
    left = [
        (item, _places(good, item)) for item in tamperings if item.klass not in ALONE and not item.is_refused
    ]
    number = 0
    while left:
        taken: list[Tampering] = []
        later: list[tuple[Tampering, frozenset[str]]] = []
        occupied: set[str] = set()
        for item, places in left:
            if any(_clash(one, other) for one in places for other in occupied):
                later.append((item, places))
            else:
                taken.append(item)
                occupied |= places
        number += 1
        yield Batch(
            Tampering(name=f"{number}", klass="together", named="", make=_all_of(taken)),
            tuple(taken),
        )
        left = later


def _places(good: GoodImage, tampering: Tampering) -> frozenset[str]:
    change = tampering.make(good)
    names = {info.name.removeprefix("./").strip("/") for info, _ in change.entries}
    removals = {name.replace(".wh..wh..opq", "").replace(".wh.", "").rstrip("/") for name in names}
    return frozenset(f"/{name}/" for name in removals) | ({tampering.place} if change.config else set())


def _clash(one: str, other: str) -> bool:
    """Return whether one of two places is the other, or is in it."""
    return one.startswith(other) or other.startswith(one)


def _all_of(tamperings: list[Tampering]) -> Callable[[GoodImage], Change]:
    def make(good: GoodImage) -> Change:
        changes = [tampering.make(good) for tampering in tamperings]
        edits = [change.config for change in changes if change.config]

        def config(data: bytes) -> bytes:
            for edit in edits:
                data = edit(data)
            return data

        entries = tuple(entry for change in changes for entry in change.entries)
        return Change(entries=entries, config=config if edits else None)

    return make
