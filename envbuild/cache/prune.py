"""What the cache folder takes up, and how to make it smaller."""

import contextlib
import fnmatch
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from envbuild.cache.folders import ARTIFACTS, FOLDER_LOCK, LAST_USE, LAYOUT, TAG, CacheFolder
from envbuild.cache.use_lock import is_tagged, own
from envbuild.errors import EnvbuildError
from envbuild.files.disk import CACHE_VARIABLE, disk_errors, is_of_disk
from envbuild.files.removal import remove_folder
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
    """Files that envbuild writes in a folder, and wrote in its former places; they go one by one."""

    cache: Path
    folder: CacheFolder

    def items(self) -> Iterator[PrunableItem]:
        """Yield every file."""
        present = [self.cache / self.folder.name] if self.folder.pruned == "files" else []
        # a former place may lie in the folder itself
        files = {Path(entry.path) for place in present for entry in _walk(place)}
        files.update(path for place in self._former() for path in _files_of(place))
        yield from file_items(path for path in sorted(files) if _is_ours(path, self.cache, self.folder))

    def sweep(self) -> None:
        """Remove the folders of former places that are empty."""
        for place in self._former():
            for folder, _, _ in os.walk(place, topdown=False) if not place.is_symlink() else ():
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()

    def _former(self) -> list[Path]:
        return [place for pattern in self.folder.former for place in self.cache.glob(pattern)]


@dataclass(frozen=True, slots=True)
class PrunableEntries:
    """What lies directly in a folder, each as a whole, unless its :data:`FOLDER_LOCK` is held."""

    cache: Path
    folder: CacheFolder

    def items(self) -> Iterator[PrunableItem]:
        """Yield every entry.

        It was used when any of its files was written or read, and when :data:`LAST_USE` was noted.
        """
        entries = _entries(self.cache / self.folder.name)
        noted = max((path.lstat().st_mtime for path in entries if path.name == LAST_USE), default=0.0)
        for entry in entries:
            if not _is_ours(entry, self.cache, self.folder):
                continue
            files = list(file_items(_files_of(entry), used=lambda state: max(state.st_atime, state.st_mtime)))
            yield PrunableItem(
                name=entry.name,
                size=sum(item.size for item in files),
                used=max([noted, *(item.used for item in files)]),
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
    """Yield an item for each file or link that is still there; folders are passed over."""
    for path in paths:
        # another process may remove it meanwhile
        with contextlib.suppress(FileNotFoundError):
            state = path.stat(follow_symlinks=False)
            if stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode):
                yield PrunableItem(
                    name=path.name, size=state.st_size, used=used(state), remove=partial(remove, path)
                )


def without_owner(cache: Path) -> Iterator[Prunable]:
    """Yield the folders of the layout that no room prunes by rules of its own, and all former places."""
    for folder in LAYOUT:
        if folder.pruned == "entries":
            yield PrunableEntries(cache, folder)
        if folder.pruned == "files" or folder.former:
            yield PrunableFiles(cache, folder)


def usage(cache: Path) -> tuple[Usage, ...]:
    """Return what every kind of things takes up, those of the layout always, by the name of the folder.

    Files that come and go meanwhile do no harm.
    """
    seen: set[tuple[int, int]] = set()
    labels = {folder.name: folder.label for folder in LAYOUT}
    with disk_errors(cache):
        places: dict[str, list[Path]] = {name: [] for name in labels}
        for path in _entries(cache):
            # a folder of the layout may be a link to another disk; other links lead to what is not ours
            is_followed = not path.is_symlink() or any(folder.is_called(path.name) for folder in LAYOUT)
            if is_followed and path.is_dir():
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

    :raises EnvbuildError: other processes still use the cache folder after ``wait_seconds``, or envbuild did
        not make it.
    """
    with disk_errors(cache):
        if not _entries(cache):
            return Pruned(files=0, size=0)
        if not is_tagged(cache):
            raise EnvbuildError(
                f"{cache} is not a cache folder of envbuild: it has no {TAG} of envbuild's",
                hint=f"check {CACHE_VARIABLE}; nothing was removed",
            )
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
            if is_wanted and _is_done(item.remove):
                gone.append(item)
                left -= item.size
        for part in prunables:
            _is_done(part.sweep)
    return Pruned(files=len(gone), size=sum(item.size for item in gone))


def _is_done(remove: Callable[[], object]) -> bool:
    try:
        return remove() is not False
    except OSError as error:
        if is_of_disk(error):
            raise
        # of another user who shares the folder, or not what its name says
        return False


def _is_ours(path: Path, cache: Path, folder: CacheFolder) -> bool:
    return folder.is_written(path.relative_to(cache).as_posix())


def _remove_whole(entry: Path) -> bool:
    if (entry / FOLDER_LOCK).exists():
        return remove_unless_locked(entry / FOLDER_LOCK, entry)
    if entry.is_dir() and not entry.is_symlink():
        remove_folder(entry)
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
    """Yield ``root`` itself if it is no folder, or a link, else all files below it."""
    if root.is_dir() and not root.is_symlink():
        yield from (Path(entry.path) for entry in _walk(root))
    else:
        yield root


def _walk(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Yield all that is below ``folder`` but folders; links below it are not followed.

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
