"""From a target to its image: the layers of all steps, made side by side where nothing keeps them apart.

The base comes first, then the system packages; the wheels become layers meanwhile, as soon as there is
an interpreter that compiles their bytecode: for a bootstrapped base, once the few packages that bring it are
unpacked.  What lies in the layer cache is not made again, and then nothing
it would be made of is needed either: no artifact, no byte of the base, no private root.
"""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Self

from envbuild.cache.folders import ROOTS
from envbuild.formats.compression import Codec
from envbuild.image.compose import compose_image, require_room
from envbuild.image.engine import ContainerOutcome
from envbuild.image.local.layers.blobs import BaseBlobs
from envbuild.image.local.layers.bytecode import COMPILE_ENVIRONMENT, CompilingPython
from envbuild.image.local.layers.conda import files_in_the_way, plan_conda
from envbuild.image.local.layers.file_conflicts import Tree, WheelTreeCache
from envbuild.image.local.layers.steps import Steps
from envbuild.image.local.layers.store import LayerStore
from envbuild.image.local.layers.wheel_layer import OpenWheel, WheelLayerBuilder
from envbuild.image.local.layers.wheel_layers import make_wheel_layers
from envbuild.image.local.roots.private_root import PrivateRoot, root_folder
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer
from envbuild.lock.identity import base_epoch_of, epoch_of
from envbuild.lock.model import Deb, Lock, Target, Wheel
from envbuild.oci.base import BaseImage
from envbuild.oci.image import OciImage
from envbuild.oci.layer import Layer
from envbuild.parallel import DaemonPool
from envbuild.progress import SILENT, Progress, SilentProgress
from envbuild.render.layers import FIXED_LAYERS, WheelLayer, layer_budget, plan_wheel_layers
from envbuild.render.recipe import (
    archive_of,
    closure_of,
    conda_files,
    plan_conda_layers,
    plan_seed,
    recipe_scripts,
)


@dataclass(frozen=True, kw_only=True)
class BuildInputs:
    """Where an image is assembled, and of what."""

    cache: Path
    """Folder of layers, trees and private roots."""

    codec: Codec
    artifact: Callable[[str], Path]
    """Gives the verified file of a sha256, fetched when it is not here."""

    open_wheel: OpenWheel
    fetch_wheels: Callable[[Sequence[Wheel]], None]
    """Told which wheels are going to be read, so that they come several at a time."""

    carried: Mapping[str, bytes]
    """Files that go to ``/etc/envbuild``, by name."""

    base: tuple[BaseImage, BaseBlobs] | None = None
    """The image base and its layers, for a target that has one."""

    workers: int | None = None
    """Wheels read at the same time; None for as many as there are cores."""

    arrange: Callable[[Sequence[Wheel]], Sequence[Wheel]] = lambda wheels: wheels
    """The order wheels are planned in: it has no part in the result, which ``build --check`` proves."""

    progress: Progress = SILENT

    @cached_property
    def layers(self) -> LayerStore:
        """Layers by what they are made of."""
        return LayerStore(self.cache)

    @cached_property
    def trees(self) -> LayerTrees:
        """Layers unpacked."""
        return LayerTrees(self.cache)

    def packed(self, layer: Layer) -> PackedLayer:
        """Return a layer that was made here as one that can be unpacked."""
        return PackedLayer(layer.diff_id, partial(self.layers.chunks, layer))


def assemble_image(lock: Lock, target: Target, place: BuildInputs) -> OciImage:
    """Return the image of ``target``; its layers are in the layer cache afterwards.

    :raises SpecError: the base has so many layers that nothing can be laid on it.
    :raises BuildFailedError: a step failed; its last lines are the detail.
    :raises IntegrityError: an artifact or a layer of the base is broken, or wheels contradict each other.
    :raises EngineError: this machine cannot run the steps.
    """
    base = lock.base(target)
    below = (len(base.image.layers) if base.image else 1) + len(plan_conda_layers(lock, target))
    require_room(below, FIXED_LAYERS + 1)
    plan = plan_wheel_layers(place.arrange(lock.wheels_of(target)), budget=layer_budget(below))
    assembly = _Assembly(lock, target, place)
    # dpkg is run by this thread, which Ctrl-C reaches
    with DaemonPool() as pool:
        foundation: Future[Foundation] = Future()
        wheels: Future[tuple[Layer, ...]] | None = None
        if assembly.early_interpreter:
            wheels = pool.submit(partial(assembly.wheels, plan, foundation, pool.stop))
        bottom, packed = assembly.base()
        foundation.set_result((bottom, packed))
        python = assembly.python(packed)
        with_python = (*packed, *map(place.packed, python))
        if wheels is None and not assembly.interpreter_is_system and not target.conda:
            wheels = pool.submit(partial(assembly.wheels, plan, _done((bottom, with_python)), pool.stop))
        system = assembly.system(packed)
        ground = (*packed, *map(place.packed, system))
        conda = assembly.conda(ground)
        with_conda = (*ground, *map(place.packed, conda))
        if wheels is None:
            wheels = pool.submit(
                partial(assembly.wheels, plan, _done((bottom, with_conda)), pool.stop, conda)
            )
        environment = assembly.environment(ground if assembly.interpreter_is_system else with_python)
        top = assembly.finish(ground)
        return compose_image(
            lock,
            target,
            (*bottom, *system, *python, *conda, *environment, *wheels.result(), top),
            base=place.base[0] if place.base else None,
        )


def interpreter_debs(debs: tuple[Deb, ...], provider: str) -> tuple[Deb, ...]:
    """Return those of a base's packages that its interpreter, ``deb NAME``, runs with as in the whole base.

    All that were built from its source: a codec that the smallest of them lacks decides whether a file with
    an unusual encoding has bytecode.  Empty when ``debs`` do not bring the interpreter.
    """
    by_name = {deb.name: deb for deb in debs}
    found = by_name.get(provider.removeprefix("deb "))
    if found is None:
        return ()
    source = found.source.split(" ")[0]
    return closure_of(debs, (deb.name for deb in debs if deb.source.split(" ")[0] == source))


Foundation = tuple[tuple[Layer, ...], tuple[PackedLayer, ...]]
"""The layers an image gets of its own for its base, and all it stands on."""


def _done(foundation: Foundation) -> Future[Foundation]:
    future: Future[Foundation] = Future()
    future.set_result(foundation)
    return future


class _Assembly:
    """The steps of one target."""

    def __init__(self, lock: Lock, target: Target, place: BuildInputs) -> None:
        self._lock = lock
        self._target = target
        self._place = place
        self._progress = _StepsAndWheels(place.progress)
        base = lock.base(target)
        # the base's own time: what lies below the wheels is then shared by all that stand on it
        self._base_epoch = base_epoch_of(lock, target)
        self._steps = Steps(
            cache=place.layers,
            trees=place.trees,
            scratch=ROOTS.path(place.cache),
            codec=place.codec,
            scripts=recipe_scripts(standalone=archive_of(target) is not None) | conda_files(lock, target),
            artifact=place.artifact,
            environment=base.env,
            progress=self._progress,
        )

    @property
    def interpreter_is_system(self) -> bool:
        """Whether the interpreter is one of the packages that are laid on the base."""
        names = {deb.name for deb in self._lock.system_debs_of(self._target)}
        return self._target.interpreter.provider.removeprefix("deb ") in names

    @property
    def early_interpreter(self) -> tuple[Deb, ...]:
        """The base's packages that are enough to run the interpreter, unpacked; empty for another base."""
        debs = self._lock.base_debs_of(self._lock.base(self._target))
        return interpreter_debs(debs, self._target.interpreter.provider)

    def base(self) -> Foundation:
        """Return the layers the image gets of its own for its base, and all it stands on."""
        if self._place.base:
            image, blobs = self._place.base
            pairs = zip(image.diff_ids, image.layers, strict=True)
            return (), tuple(PackedLayer(diff_id, partial(blobs.read, blob)) for diff_id, blob in pairs)
        debs = self._lock.base_debs_of(self._lock.base(self._target))
        layer = self._steps.bootstrap(debs, plan_seed(debs), epoch=self._base_epoch)
        return (layer,), (self._place.packed(layer),)

    def system(self, below: Sequence[PackedLayer]) -> tuple[Layer, ...]:
        debs = self._lock.system_debs_of(self._target)
        return (self._steps.install(below, debs, epoch=self._base_epoch),) if debs else ()

    def python(self, below: Sequence[PackedLayer]) -> tuple[Layer, ...]:
        archive = self._target.interpreter.archive
        return (self._steps.standalone(below, archive),) if archive else ()

    def conda(self, below: Sequence[PackedLayer]) -> tuple[Layer, ...]:
        work = plan_conda(self._lock, self._target)
        return self._steps.conda(below, work) if work else ()

    def environment(self, below: Sequence[PackedLayer]) -> tuple[Layer, ...]:
        target = self._target
        if target.conda:
            return ()
        path = target.interpreter.path
        return (self._steps.environment_of(below, interpreter=path, prefix=target.prefix),)

    def finish(self, below: Sequence[PackedLayer]) -> Layer:
        return self._steps.finish(
            below,
            user=self._target.user,
            workdir=self._target.workdir,
            files=self._place.carried,
            epoch=epoch_of(self._lock, self._target),
        )

    def wheels(
        self,
        plan: Sequence[WheelLayer],
        foundation: Future[Foundation],
        stop: threading.Event,
        conda: Sequence[Layer] = (),
    ) -> tuple[Layer, ...]:
        """Return the layers of the wheels; ``conda`` are those in whose prefix they go."""
        place, target = self._place, self._target

        def hold(cleanup: contextlib.ExitStack) -> Sequence[Path]:
            """Return folders in which the interpreter runs: while the base is still made, a part of it."""
            if not foundation.done():
                folder = cleanup.enter_context(root_folder(ROOTS.path(place.cache))) / "tree"
                folder.mkdir()
                self._steps.unpack(self.early_interpreter, folder, epoch=self._base_epoch)
                return (folder,)
            return cleanup.enter_context(place.trees.held(foundation.result()[1]))

        with _LazyInterpreter(hold, ROOTS.path(place.cache), target.interpreter.path) as interpreter:
            builder = WheelLayerBuilder(
                cache=place.layers,
                trees=WheelTreeCache(place.cache),
                open_wheel=place.open_wheel,
                codec=place.codec,
                prefix=target.prefix,
                python=target.interpreter.version,
                compiler=CompilingPython(target.interpreter.version, interpreter.run),
                stop=stop,
            )
            place.fetch_wheels(list(_needed(plan, builder)))

            def occupied(names: Collection[str]) -> Sequence[tuple[str, Tree]]:
                if not conda:
                    return ()
                with place.trees.held([place.packed(layer) for layer in conda]) as folders:
                    return files_in_the_way(names, folders, prefix=target.prefix)

            return make_wheel_layers(
                plan, builder, occupied=occupied, workers=place.workers, progress=self._progress
            )


class _StepsAndWheels(SilentProgress):
    """Reports the steps and the layers of wheels, which are made at the same time, as one stage.

    Steps report stages alone, the layers of wheels bytes alone.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._step = self._wheels = ""

    def on_stage(self, text: str) -> None:
        """Note that a step is now being done."""
        with self._lock:
            self._step = text
            self._tell(text)

    def on_bytes(self, done: int, total: int) -> None:
        """Note how far the layers of wheels are."""
        with self._lock:
            if not self._wheels:
                self._wheels = "assembling layers of wheels"
                self._tell(self._wheels)
            self._progress.on_bytes(done, total)

    def _tell(self, text: str) -> None:
        self._progress.on_stage(text)
        self._progress.on_item("; ".join(part for part in (self._step, self._wheels) if part))


def _needed(plan: Sequence[WheelLayer], builder: WheelLayerBuilder) -> Iterator[Wheel]:
    """Yield the wheels that are going to be read."""
    for layer in plan:
        is_missing = builder.cache.get(builder.key(layer)) is None
        for wheel in layer.wheels:
            known = builder.trees.get(wheel, prefix=builder.prefix, python=builder.series)
            if is_missing or known is None:
                yield wheel


class _LazyInterpreter:
    """The target's Python in a private root, which is made when it is first asked for something."""

    def __init__(
        self, hold: Callable[[contextlib.ExitStack], Sequence[Path]], scratch: Path, path: str
    ) -> None:
        self._hold = hold
        self._scratch = scratch
        self._path = path
        self._cleanup = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._root: PrivateRoot | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def run(self, arguments: Sequence[str], stdin: bytes) -> ContainerOutcome:
        """Run the interpreter."""
        with self._lock:
            if self._root is None:
                root = PrivateRoot(self._hold(self._cleanup), scratch=self._scratch, writable=False)
                self._root = self._cleanup.enter_context(root)
        return self._root.run((self._path, *arguments), stdin=stdin, env=COMPILE_ENVIRONMENT)
