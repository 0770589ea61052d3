"""The bytes of a local image's layers: those that were made here in the layer cache, the base's beside them.

Layers of an image base come from its registry, one by one and only when somebody needs their bytes: a push to
the same registry mounts them instead.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from envbuild.cache.folders import BASES
from envbuild.digest import OciDigest
from envbuild.errors import EnvbuildError, NetworkError
from envbuild.files.atomic import write_all
from envbuild.files.disk import disk_errors
from envbuild.files.last_use import note_use
from envbuild.files.locks import wait_for_lock
from envbuild.image.local.layers.store import layer_path
from envbuild.oci.blobs import read_verified
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import Descriptor
from envbuild.oci.reference import ImageReference, parse_reference
from envbuild.render import labels

PARTIAL: Final = ".partial"


class BlobRegistry(Protocol):
    """Where layers of bases come from."""

    def read_blob(self, reference: ImageReference, blob: Descriptor) -> Iterator[bytes]:
        """Yield a blob; after the last chunk it is known to be the right one."""


class BaseBlobs:
    """Layers of one image base, fetched when they are asked for."""

    def __init__(
        self,
        cache: Path,
        reference: ImageReference,
        *,
        registry: Callable[[], BlobRegistry],
        offline: bool = False,
    ) -> None:
        """Keep layers below ``cache``; ``registry`` is called when one has to be fetched."""
        self._cache = cache
        self._folder = BASES.path(cache)
        self._reference = reference
        self._registry = registry
        self._offline = offline

    def path(self, blob: Descriptor) -> Path:
        """Return a file with the bytes of ``blob``; what was fetched was verified, what is kept is not.

        :raises NetworkError: the registry is out of reach, has lost it, or may not be asked.
        :raises IntegrityError: the registry sent something else.
        """
        place = base_path(self._cache, blob.digest)
        if _has_size(place, blob.size):
            note_use(place)
            return place
        if self._offline:
            raise NetworkError(
                f"layer {blob.digest[:19]} of `{self._reference.familiar}` is not in the cache",
                hint="run without --offline",
            )
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = place.with_suffix(PARTIAL)
            # one process fetches it, the others wait
            descriptor = wait_for_lock(partial)
            try:
                if not _has_size(place, blob.size):
                    self._fetch(blob, partial, descriptor, place)
            finally:
                partial.unlink(missing_ok=True)
                os.close(descriptor)
        return place

    def read(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield the bytes of ``blob``.

        :raises IntegrityError: at the end, when what is kept is not it; it is then forgotten.
        """
        yield from read_verified(self.path(blob), blob)

    def _fetch(self, blob: Descriptor, partial: Path, descriptor: int, place: Path) -> None:
        os.ftruncate(descriptor, 0)
        for chunk in self._registry().read_blob(self._reference, blob):
            write_all(descriptor, chunk)
        os.fchmod(descriptor, 0o644)
        partial.replace(place)


class ImageBlobs:
    """The layers of one image of the local engine."""

    def __init__(self, image: OciImage, *, cache: Path, base: BaseBlobs | None) -> None:
        self._base_digests = frozenset(layer.digest for layer in image.layers[: image.base_layers])
        self._cache = cache
        self._base = base

    def path(self, blob: Descriptor) -> Path:
        """Return a file with the bytes of ``blob``.

        :raises EnvbuildError: it has been removed from the cache meanwhile.
        """
        own = layer_path(self._cache, blob.digest)
        if _has_size(own, blob.size):
            return own
        if blob.digest in self._base_digests and self._base is not None:
            return self._base.path(blob)
        raise EnvbuildError(
            f"the layer {blob.digest[:19]} is no longer in the cache",
            hint="build again, and do not prune the cache meanwhile",
        )

    def kept(self, blob: Descriptor) -> Path | None:
        """Return the file of ``blob`` if it is on this machine; nothing is fetched."""
        for place in (layer_path(self._cache, blob.digest), base_path(self._cache, blob.digest)):
            if _has_size(place, blob.size):
                return place
        return None


def is_whole(image: OciImage, cache: Path) -> bool:
    """Return whether every layer that was made here is still below ``cache``, by its size."""
    own = image.layers[image.base_layers :]
    return all(_has_size(layer_path(cache, blob.digest), blob.size) for blob in own)


def note_use_of(image: OciImage, cache: Path) -> None:
    """Note that an image is used now: what was not used for longest is pruned first."""
    for layer in image.layers:
        note_use(layer_path(cache, layer.digest))
        note_use(base_path(cache, layer.digest))


def base_reference(settings: Mapping[str, str]) -> ImageReference | None:
    """Return the pinned base that the labels of an image name, if it has an image base."""
    name, digest = settings.get(labels.BASE_NAME), settings.get(labels.BASE_DIGEST)
    return parse_reference(name).at(digest) if name and digest else None


def base_path(cache: Path, digest: OciDigest) -> Path:
    """Return where the compressed bytes of a base's layer are below ``cache``, or would be; not verified."""
    return BASES.path(cache) / digest.removeprefix("sha256:")


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
