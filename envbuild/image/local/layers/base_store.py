"""Layers of image bases as something that may be removed: they can be fetched again."""

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from envbuild.cache.prune import Stored
from envbuild.files.locks import try_lock
from envbuild.image.local.layers.blobs import FOLDER, PARTIAL


class BaseShelf:
    """All layers of image bases in a cache folder, for :func:`envbuild.cache.prune.prune`."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / FOLDER

    def stored(self) -> Iterator[Stored]:
        """Yield each layer."""
        for path in self._files():
            with contextlib.suppress(OSError):
                state = path.stat()
                # times of access are kept by few file systems: `path` of a layer touches it
                yield Stored(
                    name=path.name,
                    size=state.st_size,
                    used=state.st_mtime,
                    remove=partial(path.unlink, missing_ok=True),
                )

    def sweep(self) -> None:
        """Remove what killed processes left: their locks are free."""
        for path in self._folder.glob(f"*{PARTIAL}"):
            with contextlib.suppress(OSError):
                descriptor = try_lock(path)
                if descriptor is not None:
                    path.unlink(missing_ok=True)
                    os.close(descriptor)

    def _files(self) -> list[Path]:
        return [path for path in self._folder.glob("*") if path.suffix != PARTIAL]
