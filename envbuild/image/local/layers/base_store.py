"""Layers of image bases as something that may be removed: they can be fetched again."""

from collections.abc import Iterator
from pathlib import Path

from envbuild.cache.folders import BASES
from envbuild.cache.prune import PrunableItem, file_items
from envbuild.digest import SHA256_HEX
from envbuild.files.temporary import remove_unless_locked
from envbuild.image.local.layers.blobs import PARTIAL


class BaseStore:
    """All layers of image bases in a cache folder, for :func:`envbuild.cache.prune.prune`."""

    def __init__(self, cache: Path) -> None:
        self._folder = BASES.path(cache)

    def items(self) -> Iterator[PrunableItem]:
        """Yield each layer."""
        yield from file_items(path for path in self._folder.glob("*") if SHA256_HEX.fullmatch(path.name))

    def sweep(self) -> None:
        """Remove what killed processes left: their locks are free."""
        for path in self._folder.glob(f"*{PARTIAL}"):
            remove_unless_locked(path, path)
