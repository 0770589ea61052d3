"""An image of the local engine into a running engine, sending only what that lacks.

Three ways.  A *partial archive* leaves out the layers of images the engine has: tens of milliseconds for a
small change, but nothing an engine promises to take.  A *pull* from a registry on the loopback interface lets
the engine fetch what it lacks, several layers at once: the quickest for much data where the engine keeps
layers by digest (containerd's store).  A *whole archive* always works.  docs/adr/0026-loading.md has figures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, Protocol

from envbuild.errors import EngineError
from envbuild.image.facts import ImageFacts
from envbuild.oci.archive import archive_chunks
from envbuild.oci.blobs import Blobs, each_layer
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import OCI_MANIFEST
from envbuild.progress import SILENT, ByteCounter, Progress
from envbuild.remote.registry.loopback import Offer, serving

Way = Literal["there", "partial archive", "pull", "archive"]

PULL_FROM_BYTES: Final = 64_000_000
"""Compressed bytes from which a pull beats an archive, where the engine can pull from this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What an engine says of itself before it is sent an image."""

    chains: tuple[tuple[str, ...], ...]
    """Digests of the uncompressed layers, bottom first, of each image of the local engine that it holds."""

    by_digest: bool
    """Whether it keeps compressed layers by digest (containerd's image store) and not by chain alone."""

    is_here: bool
    """Whether it reaches this machine's loopback interface."""


class LoadingEngine(Protocol):
    """An engine that takes images."""

    def find(self, reference: str) -> ImageFacts | None:
        """Return what the engine says of a local image."""

    def holdings(self) -> Holdings:
        """Return what the engine has that an image could share."""

    def load(self, chunks: Iterable[bytes]) -> None:
        """Take an archive.  :raises EngineError: it refuses."""

    def pull_as(self, name: str, digest: str, reference: str) -> None:
        """Pull ``name@digest`` and keep it as ``reference`` alone.  :raises EngineError: it cannot."""

    def discard(self, reference: str) -> None:
        """Remove the name ``reference``, whatever it stands for, if it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """How an image came into an engine."""

    way: Way
    size: int
    """Compressed bytes the engine was sent."""


def load_image(
    engine: LoadingEngine,
    image: OciImage,
    reference: str,
    *,
    blobs: Blobs,
    progress: Progress = SILENT,
) -> Loaded:
    """Make ``engine`` hold ``image`` as ``reference``.

    :raises EngineError: it does not answer, or takes the image in no way.
    :raises IntegrityError: a layer here is not what its digest says.
    """
    if _is_there(engine, image, reference):
        return Loaded(way="there", size=0)
    failure: EngineError | None = None
    for way, without in _plan(engine.holdings(), image):
        try:
            size = _send(engine, image, reference, way, without, blobs=blobs, progress=progress)
        except EngineError as error:
            failure = error
            # an engine may keep the name of an image it could not unpack
            engine.discard(reference)
            progress.on_note(f"the engine did not take the {way}; sending all of it")
            continue
        if _is_there(engine, image, reference):
            return Loaded(way=way, size=size)
        failure = EngineError(f"the engine took {reference} but does not hold it")
    raise EngineError(
        f"the engine does not take {reference}",
        hint="Docker Engine 23.0 or newer reads zstd; for an older one build with --compression gzip",
        detail=failure.detail or failure.message if failure else None,
    )


def _plan(held: Holdings, image: OciImage) -> Sequence[tuple[Way, frozenset[str]]]:
    """Return the ways to try in order, each with the layers it leaves out."""
    shared = _shared(held, image)
    lacking = sum(layer.size for layer in each_layer(image) if layer.digest not in shared)
    ways: list[tuple[Way, frozenset[str]]] = []
    if shared and (lacking < PULL_FROM_BYTES or not held.by_digest):
        ways.append(("partial archive", shared))
    if held.by_digest and held.is_here and (shared or lacking >= PULL_FROM_BYTES):
        ways.append(("pull", shared))
    return (*ways, ("archive", frozenset()))


def _shared(held: Holdings, image: OciImage) -> frozenset[str]:
    """Return the digests of the layers the engine has, as far as can be told.

    A store by digest has a layer wherever it lies in an image; one by chain only below the same layers.
    """
    by_diff_id = dict(zip(image.diff_ids, (layer.digest for layer in image.layers), strict=True))
    if held.by_digest:
        known = {diff_id for chain in held.chains for diff_id in chain}
        return frozenset(digest for diff_id, digest in by_diff_id.items() if diff_id in known)
    longest = max((_common(chain, image.diff_ids) for chain in held.chains), default=0)
    return frozenset(layer.digest for layer in image.layers[:longest])


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many layers two images share from the bottom."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length


def _send(
    engine: LoadingEngine,
    image: OciImage,
    reference: str,
    way: Way,
    without: frozenset[str],
    *,
    blobs: Blobs,
    progress: Progress,
) -> int:
    """Send the image in one way; return how many compressed bytes went."""
    layers = each_layer(image)
    lacking = sum(layer.size for layer in layers if layer.digest not in without)
    if way == "pull":
        sent: list[int] = []
        counter = ByteCounter(progress, lacking)

        def on_bytes(size: int) -> None:
            sent.append(size)
            counter.add(size)

        offer = Offer(
            manifests={image.descriptor.digest: (OCI_MANIFEST, image.manifest)},
            documents={image.config_descriptor.digest: image.config},
            files={layer.digest: partial(blobs.path, layer) for layer in layers},
        )
        with serving(offer, on_bytes=on_bytes) as name:
            engine.pull_as(name, image.descriptor.digest, reference)
        return sum(sent)
    engine.load(archive_chunks(image, reference, blobs=blobs, without=without, progress=progress))
    return lacking


def _is_there(engine: LoadingEngine, image: OciImage, reference: str) -> bool:
    """Return whether the engine's ID of ``reference`` is this image's: one of two digests, by its store."""
    found = engine.find(reference)
    return found is not None and found.identifier in {
        image.config_descriptor.digest,
        image.descriptor.digest,
    }
