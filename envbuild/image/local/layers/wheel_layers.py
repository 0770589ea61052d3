"""All layers of wheels of an environment, made on all cores.

The largest are begun first, so that none is left over at the end.  Memory stays flat: a file is read, hashed,
compressed and written in pieces.
"""

import os
from collections.abc import Callable, Collection, Sequence

from envbuild.image.local.layers.file_conflicts import Tree, resolve_file_conflicts
from envbuild.image.local.layers.wheel_layer import WheelLayerBuilder
from envbuild.oci.layer import Layer
from envbuild.parallel import run_all
from envbuild.progress import SILENT, ByteCounter, Progress
from envbuild.render.layers import WheelLayer

Occupied = Callable[[Collection[str]], Sequence[tuple[str, Tree]]]
"""Returns what is there already where wheels bring files (paths in the prefix): files by whose they are."""


def _nothing(_names: Collection[str]) -> Sequence[tuple[str, Tree]]:
    return ()


def make_wheel_layers(
    layers: Sequence[WheelLayer],
    builder: WheelLayerBuilder,
    *,
    occupied: Occupied = _nothing,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> tuple[Layer, ...]:
    """Return the layers of an environment's wheels, bottom first; those not in the cache are made.

    There may be one more than was planned, on top: files that wheels of several layers bring, where a higher
    one does not say, as a lower one or what they are laid on does, that they are executable.

    :raises IntegrityError: a wheel is broken, contradicts its RECORD, or wheels disagree on a file, with each
        other or with what is there already.
    :raises BuildFailedError: the target's interpreter fails.
    """
    cache = builder.cache
    found = {number: cache.get(builder.key(layer)) for number, layer in enumerate(layers)}
    missing = sorted(
        (number for number, layer in found.items() if layer is None),
        key=lambda number: (-layers[number].size, number),
    )
    counter = ByteCounter(progress, sum(layers[number].size for number in missing))

    def make(number: int) -> None:
        layer, counted = layers[number], 0

        def on_bytes(size: int) -> None:
            nonlocal counted
            counted += size
            counter.add(size)

        found[number] = builder.make(layer, on_bytes=on_bytes)
        # headers and the archive's directory are bytes of the wheel too
        counter.add(layer.size - counted)

    count = workers or len(os.sched_getaffinity(0))
    run_all(make, missing, workers=count, stop=builder.stop)
    trees = [[(wheel.file, builder.tree(wheel)) for wheel in layer.wheels] for layer in layers]
    below = occupied({name for layer in trees for _, tree in layer for name in tree})
    shared = resolve_file_conflicts([below, *trees], prefix=builder.prefix)
    made = [layer for _, layer in sorted(found.items()) if layer is not None]
    if shared.raised:
        wheels = {wheel.file: wheel for layer in layers for wheel in layer.wheels}
        # that what lies below says so, no wheel does: any that brings the file will do
        bringing = {name: file for layer in trees for file, tree in layer for name in tree}
        made.append(
            builder.make_executable(
                {name: wheels.get(file) or wheels[bringing[name]] for name, file in shared.raised.items()}
            )
        )
    return tuple(made)
