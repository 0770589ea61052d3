"""What the cache folder takes up, and how to make it smaller."""

import contextlib
import fnmatch
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from envbuild.cache.folders import ARTIFACTS, FOLDER_LOCK, LAYOUT
from envbuild.cache.use import own
from envbuild.files.disk import disk_errors
from envbuild.files.temporary import remove_unless_locked

WAIT_SECONDS: Final = 5.0

_DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one kind of things in the cache takes up."""

    kind: str
    """For people: the label of the layout, or the name of a folder that is not in it."""

    folder: str
    files: int
    size: int
    """Bytes; a file with several names counts once, as an artifact if it is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed."""

    files: int
    """How many things; an unpacked layer and the package lists of one archive count as one."""

    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunableItem:
    """Something that may be removed, because it can be had again."""

    name: str
    """Decides which goes first of those that were last used at the same time."""

    size: int
    """Bytes."""

    used: float
    """When it was last used, in seconds since 1970."""

    remove: Callable[[], object]
    """Removes it.  One that is in use is left, and False returned."""


class Prunable(Protocol):
    """A part of the cache folder that can be made smaller."""

    def items(self) -> Iterator[PrunableItem]:
        """Yield all that may be removed."""

    def sweep(self) -> None:
        """Remove what killed processes left, and what is of no use without things that were removed."""


@dataclass(frozen=True, slots=True)
class PrunableFiles:
    """Files that go one by one."""

    roots: tuple[Path, ...]
    """Files, and folders with all below them."""

    is_former: bool = False
    """Whether nothing is written there any more: then the folders go when they are empty."""

    def items(self) -> Iterator[PrunableItem]:
        """Yield every file."""
        for root in self.roots:
            yield from file_items(_files_of(root))

    def sweep(self) -> None:
        """Remove the folders of former places that are empty."""
        for root in self.roots if self.is_former else ():
            for folder, _, _ in os.walk(root, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()


@dataclass(frozen=True, slots=True)
class PrunableEntries:
    """What lies directly in a folder, each as a whole, unless its :data:`FOLDER_LOCK` is held."""

    folder: Path

    def items(self) -> Iterator[PrunableItem]:
        """Yield every entry; it was used when any of its files was written or read."""
        for entry in _entries(self.folder):
            files = list(file_items(_files_of(entry), used=lambda state: max(state.st_atime, state.st_mtime)))
            yield PrunableItem(
                name=entry.name,
                size=sum(item.size for item in files),
                used=max((item.used for item in files), default=0.0),
                remove=partial(_remove_whole, entry),
            )

    def sweep(self) -> None:
        """Do nothing: all that is here is an item."""


def file_items(
    paths: Iterable[Path],
    *,
    used: Callable[[os.stat_result], float] = lambda state: state.st_mtime,
    remove: Callable[[Path], object] = lambda path: path.unlink(missing_ok=True),
) -> Iterator[PrunableItem]:
    """Yield an item for each file that is still there."""
    for path in paths:
        # another process may remove it meanwhile
        with contextlib.suppress(FileNotFoundError):
            state = path.stat(follow_symlinks=False)
            yield PrunableItem(
                name=path.name, size=state.st_size, used=used(state), remove=partial(remove, path)
            )


def without_owner(cache: Path) -> Iterator[Prunable]:
    """Yield the folders of the layout that no room prunes by rules of its own, and all former places."""
    for folder in LAYOUT:
        place = cache / folder.name
        if folder.pruned == "files":
            yield PrunableFiles((place,))
        elif folder.pruned == "entries":
            yield PrunableEntries(place)
        for pattern in folder.former:
            yield PrunableFiles(tuple(sorted(cache.glob(pattern))), is_former=True)


def usage(cache: Path) -> tuple[Usage, ...]:
    """Return what every kind of things takes up, those of the layout always, by the name of the folder.

    Files that come and go meanwhile do no harm.
    """
    seen: set[tuple[int, int]] = set()
    labels = {folder.name: folder.label for folder in LAYOUT}
    with disk_errors(cache):
        places: dict[str, list[Path]] = {name: [] for name in labels}
        for path in _entries(cache):
            if path.is_dir() and not path.is_symlink():
                places.setdefault(_owner_of(path.name), []).append(path)
        # artifacts first: staged folders are made of links to them
        names = sorted(places, key=lambda name: (name != ARTIFACTS.name, name))
        found = [_usage_of(labels.get(name, name), name, places[name], seen) for name in names]
    return tuple(sorted(found, key=lambda one: one.folder))


def prune(
    cache: Path,
    prunables: Collection[Prunable],
    *,
    older_than_days: float | None = None,
    max_bytes: int | None = None,
    wait_seconds: float = WAIT_SECONDS,
) -> Pruned:
    """Remove things of ``prunables``, and what killed processes left there.

    With ``older_than_days`` those not used for so long; with ``max_bytes`` those not used for longest until
    the rest fits; with both, either reason is enough; with neither, all.  What is in use stays.

    :raises EnvbuildError: other processes still use the cache folder after ``wait_seconds``.
    """
    with own(cache, wait_seconds=wait_seconds), disk_errors(cache):
        now = time.time()
        bound = None if older_than_days is None else now - older_than_days * _DAY_SECONDS
        items = [item for part in prunables for item in part.items()]
        left = sum(item.size for item in items)
        gone: list[PrunableItem] = []
        for item in sorted(items, key=lambda item: (item.used, item.name)):
            # a clock that was wrong may have noted a use that is still to come
            is_old = bound is not None and min(item.used, now) <= bound
            is_too_much = max_bytes is not None and (left > max_bytes or max_bytes == 0)
            is_wanted = is_old or is_too_much or (bound is None and max_bytes is None)
            if is_wanted and _is_removed(item):
                gone.append(item)
                left -= item.size
        for part in prunables:
            part.sweep()
    return Pruned(files=len(gone), size=sum(item.size for item in gone))


def _is_removed(item: PrunableItem) -> bool:
    try:
        return item.remove() is not False
    except PermissionError:
        # of another user who shares the folder
        return False


def _remove_whole(entry: Path) -> bool:
    if (entry / FOLDER_LOCK).exists():
        return remove_unless_locked(entry / FOLDER_LOCK, entry)
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
        return not entry.exists()
    entry.unlink(missing_ok=True)
    return True


def _owner_of(name: str) -> str:
    """Return the name of the folder of the layout that ``name`` is a variant or former place of, else it."""
    for folder in LAYOUT:
        if folder.is_called(name) or any(fnmatch.fnmatchcase(name, pattern) for pattern in folder.former):
            return folder.name
    return name


def _usage_of(kind: str, name: str, folders: list[Path], seen: set[tuple[int, int]]) -> Usage:
    files = size = 0
    for folder in folders:
        for entry in _walk(folder):
            try:
                state = entry.stat(follow_symlinks=False)
            except (FileNotFoundError, PermissionError):
                continue
            if (state.st_dev, state.st_ino) not in seen:
                seen.add((state.st_dev, state.st_ino))
                files, size = files + 1, size + state.st_size
    return Usage(kind=kind, folder=name, files=files, size=size)


def _files_of(root: Path) -> Iterator[Path]:
    """Yield ``root`` itself if it is no folder, else all files below it."""
    if root.is_dir() and not root.is_symlink():
        yield from (Path(entry.path) for entry in _walk(root))
    else:
        yield root


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
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
