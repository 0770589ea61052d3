"""What the cache folder takes up, and how to make it smaller."""

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from envbuild.files.disk import disk_errors
from envbuild.store.leftovers import remove_partials, sweep
from envbuild.store.store import Store

KINDS = {
    "apt": "package lists",
    "bases": "layers of image bases",
    "contexts": "staged artifacts",
    "images": "images of the local engine",
    "layers": "image layers",
    "metadata": "index pages and metadata",
    "partial": "partial downloads",
    "sha256": "artifacts",
    "trees": "unpacked bases",
}
"""What lies in the folders of the cache; others are called by their folder's name."""

WAIT_SECONDS = 5.0
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one folder of the cache takes up."""

    kind: str
    """For people."""

    folder: str
    files: int
    size: int
    """Bytes; a file with several names counts once, in the folder that comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed."""

    files: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Something that may be removed, because it can be had again."""

    name: str
    size: int
    """Bytes."""

    used: float
    """When it was last used, seconds since the epoch."""

    remove: Callable[[], object]
    """Removes it.  One that is in use is left, and False returned."""


class Shelf(Protocol):
    """A part of the cache folder that keeps things of its own kind."""

    def stored(self) -> Iterator[Stored]:
        """Yield all that may be removed."""

    def sweep(self) -> None:
        """Remove what stopped processes left behind."""


def usage(store: Store) -> tuple[Usage, ...]:
    """Return what every folder of the cache takes up, the known kinds always, by folder name.

    Files that come and go meanwhile do no harm.
    """
    seen: set[tuple[int, int]] = set()
    with disk_errors(store.folder):
        present = {path.name for path in _entries(store.folder) if path.is_dir() and not path.is_symlink()}
        # artifacts first: staged folders are made of links to them
        names = sorted({*KINDS, *present}, key=lambda name: (name != "sha256", name))
        found = [_usage_of(store.folder / name, seen) for name in names]
    return tuple(sorted(found, key=lambda one: one.folder))


def prune(
    store: Store,
    *,
    keep: Collection[str] = (),
    older_than_days: float | None = None,
    max_bytes: int | None = None,
    shelves: Collection[Shelf] = (),
    wait_seconds: float = WAIT_SECONDS,
) -> Pruned:
    """Remove artifacts that are not in ``keep``, what is on ``shelves``, and what stopped processes left.

    With ``older_than_days`` those not used for so long; with ``max_bytes`` those not used for longest until
    the rest fits; with both, either reason is enough; with neither, all.  Partial downloads go by the same
    age; those of live processes are never touched.

    :raises EnvbuildError: other processes still use the store after ``wait_seconds``.
    """
    bound = time.time() - older_than_days * _DAY_SECONDS if older_than_days is not None else None
    with store.own(wait_seconds=wait_seconds), disk_errors(store.folder):
        stored = [*_stored(store), *(item for shelf in shelves for item in shelf.stored())]
        chosen = _choose(stored, keep=frozenset(keep), unused_since=bound, max_bytes=max_bytes)
        gone = [item for item in chosen if item.remove() is not False]
        sweep(store)
        for shelf in shelves:
            shelf.sweep()
        files, size = 0, 0
        if bound is not None or max_bytes is None:
            files, size = remove_partials(store, unused_since=time.time() if bound is None else bound)
    return Pruned(files=files + len(gone), size=size + sum(item.size for item in gone))


def _choose(
    stored: list[Stored], *, keep: frozenset[str], unused_since: float | None, max_bytes: int | None
) -> list[Stored]:
    """Return what to remove, in the order of last use."""
    removable = sorted(
        (item for item in stored if item.name not in keep), key=lambda item: (item.used, item.name)
    )
    if unused_since is None and max_bytes is None:
        return removable
    gone = [item for item in removable if unused_since is not None and item.used <= unused_since]
    if max_bytes is not None:
        left = sum(item.size for item in stored) - sum(item.size for item in gone)
        for item in removable[len(gone) :]:
            if left <= max_bytes:
                break
            gone.append(item)
            left -= item.size
    return gone


def _stored(store: Store) -> Iterator[Stored]:
    for sha256 in store.digests():
        state = store.place_of(sha256).stat()
        yield Stored(
            name=sha256, size=state.st_size, used=state.st_atime, remove=partial(store.discard, sha256)
        )


def _usage_of(folder: Path, seen: set[tuple[int, int]]) -> Usage:
    files = size = 0
    for entry in _walk(folder):
        try:
            state = entry.stat(follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            continue
        if (state.st_dev, state.st_ino) not in seen:
            seen.add((state.st_dev, state.st_ino))
            files, size = files + 1, size + state.st_size
    return Usage(kind=KINDS.get(folder.name, folder.name), folder=folder.name, files=files, size=size)


def _walk(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Yield all that is below ``folder`` but folders; links are not followed.

    Folders this user may not read are passed over: images have some, which belong to subordinate ids.
    """
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield entry


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
