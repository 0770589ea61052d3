"""What is in the cache folder, and making it smaller: the one place that knows all parts of it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.cache.folders import UNPACKED
from envbuild.cache.prune import Prunable, Pruned, Usage, prune, usage, without_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envbuild.workflows.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """Where the cache folder is, and what it holds."""

    folder: Path
    usage: tuple[Usage, ...]
    """What each kind of things takes up, by the names of their folders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOptions:
    """Options of ``envbuild cache prune``.  With both, either reason is enough; with neither, all goes."""

    older_than_days: float | None = None
    """Remove what was not used for so long."""

    max_bytes: int | None = None
    """Remove what was not used for longest, until what may be removed takes up no more than this."""


def cache_info(machine: "Machine") -> CacheInfo:
    """Return what the cache folder of ``machine`` holds.

    :raises EnvbuildError: it cannot be read.
    """
    return CacheInfo(folder=machine.cache, usage=usage(machine.cache))


def prune_cache(options: PruneOptions, machine: "Machine") -> Pruned:
    """Remove what was not used for long from the cache folder of ``machine``.

    What is removed is fetched or made again when it is needed; what is in use stays.

    :raises EnvbuildError: other processes use the cache folder, or it cannot be written.
    :raises EngineError: unpacked layers belong to subordinate ids, which this user has no longer.
    """
    cache = machine.cache
    if os.geteuid() != 0 and any(cache.glob(f"{UNPACKED.name}*/")):
        # their files belong to subordinate ids
        machine.restart_as_root()
    return prune(
        cache,
        tuple(prunables(cache)),
        older_than_days=options.older_than_days,
        max_bytes=options.max_bytes,
    )


def prunables(cache: Path) -> "Iterator[Prunable]":
    """Yield all parts of a cache folder that can be made smaller."""
    from envbuild.image.local.images import ImageStore
    from envbuild.image.local.layers.base_store import BaseStore
    from envbuild.image.local.layers.store import LayerStore
    from envbuild.image.local.roots.private_root import RootFolders
    from envbuild.image.local.roots.unpacked_layers import LayerTrees
    from envbuild.store.store import Store

    yield Store(cache)
    yield LayerStore(cache)
    yield BaseStore(cache)
    yield from LayerTrees.removable(cache)
    yield RootFolders(cache)
    # after the layers: an image goes with them
    yield ImageStore(cache)
    yield from without_owner(cache)
