"""All layers of wheels of an environment, made on all cores.

The largest are begun first, so that none is left over at the end.  Memory stays flat: a file is read, hashed,
compressed and written in pieces.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from envbuild.image.local.layers.file_conflicts import Tree, settle
from envbuild.image.local.layers.wheel_layer import WheelWorkshop
from envbuild.oci.layer import Layer
from envbuild.parallel import run_all
from envbuild.render.layers import WheelLayer
from envbuild.store.progress import EVERY_SECONDS

Occupied = Callable[[Collection[str]], Sequence[tuple[str, Tree]]]
"""Returns what is there already where wheels bring files (paths in the prefix): files by whose they are."""


def _nothing(_names: Collection[str]) -> Sequence[tuple[str, Tree]]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerState:
    """How far the layers have come."""

    layers_done: int
    layers_total: int
    """Layers that were not in the cache."""

    bytes_done: int
    bytes_total: int
    """Bytes of their wheel files."""

    current: tuple[str, ...]
    """Comments of the layers being made now."""


class LayerProgress(Protocol):
    """Where the state of the layers is shown."""

    def show(self, state: LayerState) -> None:
        """Show ``state``.  Called from worker threads, one at a time; must return quickly."""


class NoLayerProgress:
    """Shows nothing."""

    def show(self, state: LayerState) -> None:
        """Show nothing."""


def make_wheel_layers(
    layers: Sequence[WheelLayer],
    workshop: WheelWorkshop,
    *,
    occupied: Occupied = _nothing,
    workers: int | None = None,
    progress: LayerProgress | None = None,
) -> tuple[Layer, ...]:
    """Return the layers of an environment's wheels, bottom first; those not in the cache are made.

    There may be one more than was planned, on top: files that wheels of several layers bring, where a higher
    one does not say, as a lower one or what they are laid on does, that they are executable.

    :raises IntegrityError: a wheel is broken, contradicts its RECORD, or wheels disagree on a file, with each
        other or with what is there already.
    :raises BuildFailedError: the target's interpreter fails.
    """
    cache = workshop.cache
    found = {number: cache.get(workshop.key(layer)) for number, layer in enumerate(layers)}
    missing = sorted(
        (number for number, layer in found.items() if layer is None),
        key=lambda number: (-layers[number].size, number),
    )
    tracker = _LayerTracker(progress or NoLayerProgress(), [layers[number] for number in missing])

    def make(number: int) -> None:
        with tracker.working(layers[number]) as on_bytes:
            found[number] = workshop.make(layers[number], on_bytes=on_bytes)

    count = workers or len(os.sched_getaffinity(0))
    run_all(make, missing, workers=count, stop=workshop.stop)
    trees = [[(wheel.file, workshop.tree(wheel)) for wheel in layer.wheels] for layer in layers]
    below = occupied({name for layer in trees for _, tree in layer for name in tree})
    settled = settle([below, *trees], prefix=workshop.prefix)
    made = [layer for _, layer in sorted(found.items()) if layer is not None]
    if settled.raised:
        wheels = {wheel.file: wheel for layer in layers for wheel in layer.wheels}
        # that what lies below says so, no wheel does: any that brings the file will do
        bringing = {name: file for layer in trees for file, tree in layer for name in tree}
        made.append(
            workshop.make_executable(
                {name: wheels.get(file) or wheels[bringing[name]] for name, file in settled.raised.items()}
            )
        )
    return tuple(made)


class _LayerTracker:
    """Adds up what the workers report."""

    def __init__(self, progress: LayerProgress, layers: Sequence[WheelLayer]) -> None:
        self._progress = progress
        self._layers_total = len(layers)
        self._bytes_total = sum(layer.size for layer in layers)
        self._layers_done = self._bytes_done = 0
        self._current: list[str] = []
        self._lock = threading.Lock()
        self._shown = 0.0

    @contextlib.contextmanager
    def working(self, layer: WheelLayer) -> Iterator[Callable[[int], None]]:
        """Count ``layer`` as begun, and done at the end; yield what takes the bytes in between."""
        counted = 0

        def on_bytes(size: int) -> None:
            nonlocal counted
            counted += size
            with self._lock:
                self._bytes_done += size
                self._show()

        with self._lock:
            self._current.append(layer.comment)
            self._show(always=True)
        yield on_bytes
        with self._lock:
            self._current.remove(layer.comment)
            self._layers_done += 1
            # headers and the archive's directory are bytes of the wheel too
            self._bytes_done += layer.size - counted
            self._show(always=True)

    def _show(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._shown >= EVERY_SECONDS:
            self._shown = now
            self._progress.show(
                LayerState(
                    layers_done=self._layers_done,
                    layers_total=self._layers_total,
                    bytes_done=self._bytes_done,
                    bytes_total=self._bytes_total,
                    current=tuple(self._current),
                )
            )
