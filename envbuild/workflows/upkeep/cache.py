"""What is in the cache folder, and making it smaller: the one place that knows all parts of it."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from envbuild.cache.folders import UNPACKED
from envbuild.cache.prune import Prunable, Pruned, Usage, prune, usage, without_owner
from envbuild.errors import EngineError
from envbuild.files.disk import CACHE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envbuild.workflows.machine import Machine

GIGABYTE: Final = 1_000_000_000
"""Bytes of the unit of ``--max-size``."""


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
    :raises EngineError: unpacked layers belong to subordinate ids, which this user has no longer, or this
        program cannot take.
    """
    cache = machine.cache
    if os.geteuid() != 0 and any(cache.glob(f"{UNPACKED.name}*/")):
        # their files belong to subordinate ids
        try:
            machine.restart_as_root()
        except EngineError as error:
            raise _not_ours(cache, options, detail=error.detail) from error
    return prune(
        cache,
        tuple(prunables(cache)),
        older_than_days=options.older_than_days,
        max_bytes=options.max_bytes,
    )


def _not_ours(cache: Path, options: PruneOptions, *, detail: str | None) -> EngineError:
    """Return the error of a user who has not got the subordinate ids that unpacked layers belong to."""
    from envbuild.image.local.user_namespace import UNSHARE

    words = ["sudo", "env", f"{CACHE_VARIABLE}={cache}", "envbuild", "cache", "prune"]
    if options.older_than_days is not None:
        words += ["--older-than", f"{options.older_than_days:g}"]
    if options.max_bytes is not None or options.older_than_days is None:
        words += ["--max-size", f"{(options.max_bytes or 0) / GIGABYTE:g}"]
    return EngineError(
        f"{cache / UNPACKED.name} may hold files of subordinate ids, which this user cannot remove",
        hint=f"run `{shlex.join(words)}`; or, with the ids this user had, the same program under "
        f"`{shlex.join(UNSHARE)}`",
        detail=detail,
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
