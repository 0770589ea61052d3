"""Layers unpacked, each once: what private roots are made of.

Layout below the cache folder::

    unpacked/ab01…/tree       files of the layer with this diff ID; in a user namespace it is unpacked-…
    unpacked/ab01…/extent     how many files and bytes, since which start of the machine; locked while in use
    unpacked/partial-…        being unpacked, with a lock beside it

A folder appears whole, by a rename.  Nothing is forced onto the disk: after a restart of the machine, a tree
is measured once, and unpacked again when a power cut took some of it.
"""

import contextlib
import errno
import fcntl
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

from envbuild.cache.folders import UNPACKED
from envbuild.cache.notes import read_note
from envbuild.cache.prune import PrunableItem
from envbuild.digest import OciDigest, sha256_bytes
from envbuild.files.disk import disk_errors
from envbuild.files.locks import try_lock, wait_for_lock
from envbuild.files.temporary import remove_unless_locked, sweep_folders, temporary_folder
from envbuild.image.local.roots.adopt import diff_id_of
from envbuild.image.local.roots.private_root import make_private
from envbuild.image.local.roots.unpack import Extent, extent_of, unpack_layer
from envbuild.parallel import run_all

LARGEST: Final = 40 << 30
"""Bytes kept; beyond that trees not used for longest go."""

_PARTIAL: Final = "partial-"
_LOCK: Final = ".lock"
_TAKEN: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY})
"""What renaming a folder says where another one is."""

_ALL_IDS: Final = ["0", "0", "4294967295"]
"""The one line of an id map outside user namespaces (user_namespaces(7))."""

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """A layer and how its bytes are had."""

    diff_id: OciDigest
    read: Callable[[], Iterable[bytes]]
    """Yields the compressed bytes, and raises when they turn out not to be the layer's."""


class LayerTrees:
    """The unpacked layers of one cache folder; shared by all processes of a user."""

    def __init__(self, cache: Path) -> None:
        self.folder = UNPACKED.path(cache, namespace=namespace_of(_id_maps()))

    @classmethod
    def removable(cls, cache: Path) -> Iterator["LayerTrees"]:
        """Yield the trees whose files this process may remove: outside of user namespaces, those of all."""
        own = cls(cache)
        yield own
        if not namespace_of(_id_maps()):
            for folder in sorted(cache.glob(f"{UNPACKED.name}-*")):
                other = cls(cache)
                other.folder = folder
                yield other

    @contextlib.contextmanager
    def held(self, layers: Sequence[PackedLayer]) -> Iterator[tuple[Path, ...]]:
        """Yield the folders of ``layers`` in their order, unpacked where missing; none is removed meanwhile.

        :raises IntegrityError: a layer's bytes are not its own.
        :raises LayerError: a layer cannot be unpacked.
        :raises DiskFullError: there is no room.
        """
        wanted = list({layer.diff_id: layer for layer in layers}.values())
        held: dict[OciDigest, tuple[Path, int]] = {}
        made: list[OciDigest] = []
        turn, has_ended = threading.Lock(), False

        def hold(layer: PackedLayer) -> None:
            tree, lock, is_new = self._hold(layer)
            with turn:
                if has_ended:
                    # another layer has failed, and nobody waited for this one
                    os.close(lock)
                    return
                held[layer.diff_id] = tree, lock
                if is_new:
                    made.append(layer.diff_id)

        try:
            run_all(hold, wanted, workers=os.cpu_count() or 1)
            for tree, _ in held.values():
                # what was not used for longest goes first
                with contextlib.suppress(OSError):
                    os.utime(tree.with_name("extent"))
            if made:
                # now that those of this image cannot be taken
                self.prune(largest=LARGEST)
            yield tuple(held[layer.diff_id][0] for layer in layers)
        finally:
            with turn:
                has_ended = True
                for _, lock in held.values():
                    os.close(lock)

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each tree by name, those not used for longest first."""
        # an unfinished one has an extent too, for the moment before it gets its name
        places = (path for path in self.folder.glob("*/") if not path.name.startswith(_PARTIAL))
        found = sorted(
            (self._last_use(path.name), path.name, _recorded_size(path / "extent")) for path in places
        )
        return {name: size for _, name, size in found}

    def items(self) -> Iterator[PrunableItem]:
        """Yield every tree there is, for pruning."""
        for name, size in self.sizes().items():
            remove = partial(self._remove, name)
            yield PrunableItem(name=name, size=size, used=self._last_use(name), remove=remove)

    def is_used(self, diff_id: OciDigest) -> bool:
        """Return whether a process holds the tree of a layer: a command runs in a root made of it."""
        extent = self.folder / diff_id.removeprefix("sha256:") / "extent"
        try:
            lock = try_lock(extent)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False
        if lock is None:
            return extent.exists()
        os.close(lock)
        return False

    def remove(self, diff_id: OciDigest) -> None:
        """Remove the tree of a layer, if there is one, it is not in use and this process may remove it."""
        name = diff_id.removeprefix("sha256:")
        with contextlib.suppress(OSError):
            if (self.folder / name).exists():
                self._remove(name)

    def sweep(self) -> None:
        """Remove what killed processes left: their locks are free."""
        sweep_folders(self.folder, prefix=_PARTIAL)
        for turn in self.folder.glob(f"*{_LOCK}"):
            if not turn.name.startswith(_PARTIAL):
                remove_unless_locked(turn, turn)

    def prune(self, *, unused_since: float = float("inf"), largest: int = 0) -> tuple[int, int]:
        """Remove trees not used after ``unused_since``, the oldest first, until ``largest`` bytes are left.

        Those in use stay.  Returns how many and how many bytes went.
        """
        sizes = self.sizes()
        left, count = sum(sizes.values()), 0
        before = left
        for name, size in sizes.items():
            if left <= largest:
                break
            if self._last_use(name) <= unused_since and self._remove(name):
                left, count = left - size, count + 1
        return count, before - left

    def _hold(self, layer: PackedLayer) -> tuple[Path, int, bool]:
        """Return the folder of a layer, a descriptor that keeps it while open, and whether it is new."""
        place = self.folder / layer.diff_id.removeprefix("sha256:")
        is_new = False
        while True:
            descriptor = _lock_shared(place / "extent")
            if descriptor is not None:
                if self._is_whole(place):
                    return place / "tree", descriptor, is_new
                os.close(descriptor)
                self._remove(place.name)
            self._make(layer, place)
            is_new = True

    def _is_whole(self, place: Path) -> bool:
        """Return whether a tree is what was unpacked; after a restart of the machine it is measured."""
        said = read_note(
            place / "extent",
            lambda said: (Extent(said["entries"], said["size"], said["listing"]), said["boot"]),
            is_use=False,
        )
        if said is None:
            return False
        known, boot = said
        if boot == _boot():
            return True
        if extent_of(place / "tree") != known:
            return False
        # in place: the file is what the lock is on
        (place / "extent").write_text(_record(known), encoding="utf-8")
        return True

    @contextlib.contextmanager
    def taken(self, folder: Path) -> Iterator[Path | None]:
        """Yield where ``folder`` was moved, for :meth:`adopt`; None when it lies on another disk.

        It is gone afterwards unless it was adopted.
        """
        make_private(self.folder)
        with temporary_folder(self.folder, prefix=_PARTIAL) as place:
            try:
                folder.rename(place / "tree")
            except OSError:
                yield None
                return
            yield place

    def adopt(self, place: Path, diff_id: OciDigest) -> bool:
        """Keep the tree at ``place`` as that of a layer, and return whether it is that layer's.

        Its metadata is normalised (:func:`~envbuild.image.local.roots.adopt.normalize_metadata`), and it was
        :meth:`taken`.
        """
        if diff_id_of(place / "tree") != diff_id:
            return False
        with contextlib.suppress(OSError):
            _name(place, self.folder / diff_id.removeprefix("sha256:"))
        return True

    def _make(self, layer: PackedLayer, place: Path) -> None:
        with disk_errors(self.folder):
            make_private(self.folder)
            self.sweep()
            # one process unpacks a layer, the others wait for it
            turn = wait_for_lock(self.folder / f"{place.name}{_LOCK}")
            try:
                if (place / "extent").exists():
                    return
                if place.exists():
                    # somebody has removed a part of it
                    self._remove(place.name)
                with temporary_folder(self.folder, prefix=_PARTIAL) as unfinished:
                    (unfinished / "tree").mkdir()
                    unpack_layer(layer.read(), unfinished / "tree", diff_id=layer.diff_id)
                    _name(unfinished, place)
            finally:
                (self.folder / f"{place.name}{_LOCK}").unlink(missing_ok=True)
                os.close(turn)

    def _remove(self, name: str) -> bool:
        """Remove a tree unless it is in use."""
        place = self.folder / name
        try:
            used = try_lock(place / "extent")
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            used = None
        if used is None and (place / "extent").exists():
            return False
        try:
            # out of sight at once, then gone
            with (
                temporary_folder(self.folder, prefix=_PARTIAL) as away,
                contextlib.suppress(FileNotFoundError),
            ):
                place.rename(away / "tree")
        finally:
            if used is not None:
                os.close(used)
        return True

    def _last_use(self, name: str) -> float:
        try:
            return (self.folder / name / "extent").stat().st_mtime
        except OSError:
            return 0.0


def _lock_shared(path: Path) -> int | None:
    """Return a descriptor that many may hold at once, or None when there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except FileNotFoundError:
        # removed while it was waited for
        pass
    os.close(descriptor)
    return None


def _name(unfinished: Path, place: Path) -> None:
    """Measure a tree that is whole, and let it appear under its name."""
    extent = extent_of(unfinished / "tree")
    (unfinished / "extent").write_text(_record(extent), encoding="utf-8")
    try:
        unfinished.rename(place)
    except OSError as error:
        # another process named the same tree meanwhile: one made it, the other unpacked it
        if error.errno not in _TAKEN:
            raise


def _recorded_size(path: Path) -> int:
    """Return the bytes an extent speaks of; 0 for one that is gone or empty, whose tree must go too."""
    return read_note(path, lambda said: int(said["size"]), is_use=False) or 0


def _record(extent: Extent) -> str:
    return json.dumps({**asdict(extent), "boot": _boot()})


def namespace_of(id_maps: str) -> str:
    """Return a name for the user namespace of which ``id_maps`` are the id maps; empty outside of one.

    The owners of files mean something else in another namespace, which has a folder of trees of its own.
    """
    if all(line.split() == _ALL_IDS for line in id_maps.splitlines()):
        return ""
    return sha256_bytes(" ".join(id_maps.split()).encode())[:12]


@cache
def _id_maps() -> str:
    """Return the id maps of this process; empty where the system has no user namespaces."""
    if sys.platform != "linux":
        return ""
    return "".join(Path(f"/proc/self/{name}_map").read_text(encoding="utf-8") for name in ("uid", "gid"))


@cache
def _boot() -> str:
    """Return what tells one start of the machine from the next."""
    return _BOOT.read_text(encoding="utf-8").strip()
