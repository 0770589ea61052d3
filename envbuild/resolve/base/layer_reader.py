"""Scans of an image's layers: from the cache, or from the registry with a few layers at a time."""

import contextlib
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import Final, Protocol

from envbuild.oci.manifest import Descriptor
from envbuild.oci.reference import ImageReference
from envbuild.parallel import DaemonPool
from envbuild.progress import Progress
from envbuild.remote.registry.client import ResolvedImage
from envbuild.remote.registry.errors import naming
from envbuild.resolve.base.layer_scan import LayerScan, scan_layer
from envbuild.resolve.base.scan_cache import ScanCache

AT_A_TIME: Final = 3
"""Layers read at once: one connection seldom fills the line, and unpacking shares the processors."""

LOOK_SECONDS: Final = 0.2
"""How often progress is told of."""


class BlobSource(Protocol):
    """Where layers come from; used by several threads at once."""

    def read_blob(self, reference: ImageReference, blob: Descriptor) -> Generator[bytes, None, None]:
        """Yield a blob's bytes; raise IntegrityError after the last one if they are not the blob's."""


class LayerReader:
    """Reads the layers of one image, each at most once."""

    def __init__(
        self, image: ResolvedImage, *, source: BlobSource, cache: ScanCache, progress: Progress
    ) -> None:
        self._image = image
        self._source = source
        self._cache = cache
        self._progress = progress

    def read_all(self) -> tuple[LayerScan, ...]:
        """Return a scan of every layer, bottom first.

        :raises NetworkError: the registry is out of reach or refuses.
        :raises IntegrityError: a layer does not match its digest.
        :raises LayerError: a layer is not readable.
        """
        layers = {layer.digest: layer for layer in self._image.layers}
        scans = {digest: scan for digest in layers if (scan := self._cache.get(digest))}
        missing = [layer for digest, layer in layers.items() if digest not in scans]
        if missing:
            scans |= {scan.digest: scan for scan in self._fetch(missing)}
        return tuple(scans[layer.digest] for layer in self._image.layers)

    def read_again(self, number: int, also: frozenset[str]) -> LayerScan:
        """Scan one layer anew, keeping the paths ``also`` besides what its kept scan has."""
        layer = self._image.layers[number]
        known = self._cache.get(layer.digest)
        if known:
            also |= known.contents.keys() | known.programs.keys()
        self._progress.on_stage(f"reading {self._image.reference.familiar} again")
        with naming(self._image.reference):
            return self._scan(layer, _Watch(), also)

    def _fetch(self, layers: list[Descriptor]) -> list[LayerScan]:
        watch, threads = _Watch(), DaemonPool(AT_A_TIME)
        total = sum(layer.size for layer in layers)
        self._progress.on_stage(f"reading {self._image.reference.familiar}")
        try:
            # the largest first, so that none is left to be waited for alone
            order = sorted(layers, key=lambda layer: -layer.size)
            pending = {threads.submit(self._scan, layer, watch, frozenset()) for layer in order}
            done: set[Future[LayerScan]] = set()
            while pending:
                finished, pending = wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_EXCEPTION)
                done |= finished
                with naming(self._image.reference):
                    for future in finished:
                        future.result()
                self._progress.on_bytes(watch.done, total)
            self._progress.on_bytes(total, total)
            return [future.result() for future in done]
        finally:
            # the threads are not waited for: each stops at its next chunk
            watch.stop()
            threads.close()

    def _scan(self, layer: Descriptor, watch: "_Watch", also: frozenset[str]) -> LayerScan:
        chunks = watch.over(self._source.read_blob(self._image.reference, layer))
        scan = scan_layer(chunks, digest=layer.digest, also=also)
        self._cache.put(scan)
        return scan


class _ReadStoppedError(Exception):
    """Another layer failed, or the user gave up."""


class _Watch:
    """Counts the bytes that several threads read, and can make them stop."""

    def __init__(self) -> None:
        self.done = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def over(self, chunks: Generator[bytes, None, None]) -> Iterator[bytes]:
        # closed at once, not when the error's traceback is forgotten: a connection hangs on it
        with contextlib.closing(chunks):
            for chunk in chunks:
                if self._stopped.is_set():
                    raise _ReadStoppedError
                with self._lock:
                    self.done += len(chunk)
                yield chunk

    def stop(self) -> None:
        self._stopped.set()
