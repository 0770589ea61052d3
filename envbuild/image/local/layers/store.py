"""Layers that were made once, by what they were made of.  Shared by all projects and processes of a user.

Layout below the cache folder::

    layers/sha256/ab01…       compressed layers, whole when they appeared
    layers/index/cd23….json   what is known of the layer that a key stands for
    layers/partial/cd23…      being written, locked; left by a process that was killed, and written anew

The compressed bytes are kept and pushed as they are: a digest that was promised can be kept.  They are
believed only when hashed, which whoever reads them does on the way (:meth:`LayerStore.chunks`).  Nothing is
forced onto the disk: what a power cut damages is found by its size or its digest, and made again.
"""

import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from envbuild.cache.folders import LAYERS
from envbuild.cache.notes import read_note, write_note
from envbuild.cache.prune import PrunableItem, file_items
from envbuild.cache.use_lock import try_own
from envbuild.digest import CHUNK, OciDigest, canonical_json, sha256_bytes
from envbuild.errors import EnvbuildError, IntegrityError
from envbuild.files.atomic import write_all
from envbuild.files.disk import disk_errors
from envbuild.files.last_use import note_use
from envbuild.files.locks import wait_for_lock
from envbuild.files.temporary import remove_unless_locked
from envbuild.formats.compression import Codec
from envbuild.image.local.layers.writer import FORMAT, LayerWriter
from envbuild.oci.layer import Layer
from envbuild.oci.manifest import Descriptor

LARGEST = 50_000_000_000
"""Bytes of layers kept without being asked: some twenty CUDA stacks."""

_MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKey:
    """Everything a layer follows from.  Two keys that are equal stand for the same bytes."""

    kind: str
    """What makes it: ``wheels``, ``system``, …"""

    inputs: Mapping[str, Any]
    """Plain JSON values: digests of artifacts, versions, switches, the maker's own format number."""

    codec: Codec

    comment: str
    """What the layer's :attr:`Layer.comment` is to say; has no part in what the key stands for."""

    @property
    def name(self) -> str:
        """64 hexadecimal digits."""
        return sha256_bytes(
            canonical_json(
                {
                    "format": FORMAT,
                    "kind": self.kind,
                    "inputs": dict(self.inputs),
                    "codec": self.codec.identity,
                }
            )
        )


def layer_path(cache: Path, digest: OciDigest) -> Path:
    """Return where a layer's compressed bytes are below ``cache``, or would be; not verified."""
    return _blobs_of(cache) / digest.removeprefix("sha256:")


def _blobs_of(cache: Path) -> Path:
    return LAYERS.path(cache) / "sha256"


class LayerStore:
    """The layers of one cache folder.  Nothing is created before something is written."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self.folder = LAYERS.path(cache)
        self._blobs = _blobs_of(cache)
        self._index = self.folder / "index"
        self._partials = self.folder / "partial"

    def get(self, key: LayerKey) -> Layer | None:
        """Return the layer of ``key``, if it is there; its bytes are not looked at."""
        with disk_errors(self.folder):
            layer = self._known(key)
            if layer is not None:
                note_use(self.path(layer.digest))
            return layer

    def make(
        self, key: LayerKey, produce: Callable[[LayerWriter], None], *, stop: threading.Event | None = None
    ) -> Layer:
        """Return the layer of ``key``, made by ``produce`` if it is not there.

        Another process that makes the same layer is waited for.  When ``produce`` raises, nothing is kept.

        :raises DiskFullError: there is no room.
        :raises StoppedError: ``stop`` was set while another process made it.
        """
        if (layer := self.get(key)) is not None:
            return layer
        path = self._partials / key.name
        with disk_errors(self.folder):
            for folder in (self._blobs, self._index, self._partials):
                folder.mkdir(parents=True, exist_ok=True)
            descriptor = wait_for_lock(path, stop=stop or threading.Event())
        try:
            # whoever was waited for may have made it
            if (layer := self.get(key)) is None:
                layer = self._write(key, produce, path, descriptor)
        finally:
            # when it was finished, that name may already be another process' next attempt
            if _is_at(descriptor, path):
                path.unlink()
            os.close(descriptor)
        return layer

    def fetch(
        self,
        layer: Descriptor,
        read: Callable[[], Iterable[bytes]],
        *,
        on_bytes: Callable[[int], None] = lambda _size: None,
    ) -> bool:
        """Keep a layer that was made elsewhere, unless it is there; return whether it had to be fetched.

        ``read`` yields its compressed bytes, and raises at the end when they are not those of its digest.
        """
        place, partial = self.path(layer.digest), self._partials / layer.digest.removeprefix("sha256:")
        with disk_errors(self.folder):
            for folder in (self._blobs, self._partials):
                folder.mkdir(parents=True, exist_ok=True)
            # one process fetches it, the others wait
            descriptor = wait_for_lock(partial)
        try:
            if place.exists() and place.stat().st_size == layer.size:
                note_use(place)
                return False
            with disk_errors(self.folder):
                os.ftruncate(descriptor, 0)
            for chunk in read():
                with disk_errors(self.folder):
                    write_all(descriptor, chunk)
                on_bytes(len(chunk))
            with disk_errors(self.folder):
                os.fchmod(descriptor, _MODE)
                partial.replace(place)
        finally:
            if _is_at(descriptor, partial):
                partial.unlink()
            os.close(descriptor)
        return True

    def path(self, digest: OciDigest) -> Path:
        """Return where a layer's compressed bytes are or would be; not verified."""
        return layer_path(self._cache, digest)

    def chunks(self, layer: Layer) -> Iterator[bytes]:
        """Yield a layer's compressed bytes; they are right only when the last one has been taken.

        :raises IntegrityError: at the end, when they are not those of its digest; the layer is removed.
        """
        with disk_errors(self.folder):
            try:
                stream = self.path(layer.digest).open("rb")
            except FileNotFoundError as error:
                raise EnvbuildError(
                    f"the layer {layer.digest} is no longer in {self.folder}",
                    hint="build again, and do not prune the cache meanwhile",
                ) from error
        state = hashlib.sha256()
        with stream:
            while True:
                with disk_errors(self.folder):
                    data = stream.read(CHUNK)
                if not data:
                    break
                state.update(data)
                yield data
        if f"sha256:{state.hexdigest()}" != layer.digest:
            self.discard(layer.digest)
            raise IntegrityError(
                f"the cached layer {layer.digest} was damaged",
                hint="it was removed; run the command again and it is made anew",
            )

    def discard(self, digest: OciDigest) -> None:
        """Remove a layer if it is there."""
        with disk_errors(self.folder):
            self.path(digest).unlink(missing_ok=True)

    def items(self) -> Iterator[PrunableItem]:
        """Yield every layer there is, for pruning."""
        yield from file_items(_files(self._blobs))

    def sweep(self) -> None:
        """Remove notes of layers that are gone, and what killed processes left: their locks are free."""
        for note in _files(self._index):
            if not read_note(note, lambda fields: self.path(fields["digest"]).exists(), is_use=False):
                note.unlink(missing_ok=True)
        for path in _files(self._partials):
            remove_unless_locked(path, path)

    def trim(self, *, largest: int = LARGEST) -> None:
        """Remove the layers not used for longest until ``largest`` bytes are left.

        Nothing is done while any process, this one included, uses the cache folder
        (:func:`envbuild.cache.use_lock.use`).
        """
        if sum(item.size for item in self.items()) <= largest:
            return
        with try_own(self._cache) as is_alone, disk_errors(self.folder):
            if not is_alone:
                return
            # listed once more: until now others could use and remove them
            items = sorted(self.items(), key=lambda item: (item.used, item.name))
            left = sum(item.size for item in items)
            for item in items:
                if left <= largest:
                    break
                item.remove()
                left -= item.size
            self.sweep()

    def _known(self, key: LayerKey) -> Layer | None:
        def read(fields: dict[str, Any]) -> Layer | None:
            layer = Layer(**{**fields, "comment": key.comment})
            return layer if self.path(layer.digest).stat().st_size == layer.size else None

        return read_note(self._index / f"{key.name}.json", read, is_use=False)

    def _write(
        self, key: LayerKey, produce: Callable[[LayerWriter], None], path: Path, descriptor: int
    ) -> Layer:
        with disk_errors(self.folder):
            # what a killed process left
            os.ftruncate(descriptor, 0)
        file = cast("BinaryIO", _Guarded(descriptor, self.folder))
        with LayerWriter(file, key.codec, comment=key.comment) as writer:
            produce(writer)
        layer = writer.layer
        with disk_errors(self.folder):
            os.fchmod(descriptor, _MODE)
            # counts for nothing without the layer; written before it, because whoever waits for this name to
            # be free looks for both as soon as it is
            write_note(self._index / f"{key.name}.json", asdict(layer))
            path.replace(self.path(layer.digest))
        return layer


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []


class _Guarded(io.RawIOBase):
    """The file of a layer; what the disk refuses is said in the words of the cache folder."""

    def __init__(self, descriptor: int, folder: Path) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._folder = folder

    def write(self, data: Any, /) -> int:
        with disk_errors(self._folder):
            write_all(self._descriptor, data)
        return len(data)
