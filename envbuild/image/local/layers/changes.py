"""What was changed in a private root, as a layer: the same entries for the same changes.

Reads an upper folder in the kernel's form (see ``unpack.py``).  What is there but no change is left out:
folders and files that were only opened for writing, and times alone.  Times of what was written meanwhile
become a given one; files unpacked from packages keep theirs.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from envbuild.digest import CHUNK
from envbuild.image.local.layers.writer import MTIME, LayerWriter, whiteout_name
from envbuild.image.local.roots.unpack import CAPABILITY, OPAQUE
from envbuild.oci import layer_paths

_OPAQUE_NAME: Final = layer_paths.OPAQUE.encode()


@dataclass(frozen=True, slots=True)
class _Change:
    """One entry of the layer to be."""

    name: bytes
    """As it is written: a removal under its ``.wh.`` name."""

    place: bytes
    state: os.stat_result | None
    """None for removals."""

    subject: bytes = b""
    """What is removed, or emptied."""


def diff_layer(
    upper: Path, lowers: Sequence[Path], writer: LayerWriter, *, started: float, epoch: int
) -> None:
    """Write what ``upper`` changes in ``lowers`` (bottom first) to ``writer``.

    What carries a time of ``started`` (seconds since 1970) or later gets ``epoch`` as its time.
    """
    below = tuple(os.fsencode(lower) for lower in reversed(lowers))
    names: dict[tuple[int, int], bytes] = {}
    changes = _changes(os.fsencode(upper), b"", below)
    for change in sorted(changes, key=lambda change: change.name):
        _write(change, writer, names, started=int(started), epoch=epoch)


def write_tree(folder: Path, name: str, writer: LayerWriter) -> None:
    """Write a folder and all in it to ``writer`` as ``name``, without an entry for what is above it.

    Files keep their times.  Folders get none of their own: one is the same whatever else is put into it.
    """
    place = os.fsencode(folder)
    names: dict[tuple[int, int], bytes] = {}
    top = _Change(os.fsencode(name), place, os.lstat(place))
    for change in sorted((top, *_changes(place, top.name, ())), key=lambda change: change.name):
        if change.state is not None and stat.S_ISDIR(change.state.st_mode):
            writer.add_directory(
                change.name,
                mode=stat.S_IMODE(change.state.st_mode),
                uid=change.state.st_uid,
                gid=change.state.st_gid,
            )
        else:
            _write(change, writer, names, started=sys.maxsize, epoch=MTIME)


def _changes(folder: bytes, name: bytes, below: Sequence[bytes]) -> Iterator[_Change]:
    """Yield what one folder changes in those that show through it, ``below``, top first."""
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        inner = name + b"/" + entry.name if name else entry.name
        state = entry.stat(follow_symlinks=False)
        under = _showing(entry.name, below)
        if _is_removal(state):
            # also of a name no layer below has: made and removed meanwhile
            if under:
                yield _Change(whiteout_name(inner), entry.path, None, inner)
        elif stat.S_ISDIR(state.st_mode):
            yield from _folder_changes(entry.path, inner, state, under)
        elif not (stat.S_ISSOCK(state.st_mode) or (under and _is_same(entry.path, state, under[0]))):
            yield _Change(inner, entry.path, state)


def _folder_changes(
    place: bytes, name: bytes, state: os.stat_result, under: Sequence[bytes]
) -> Iterator[_Change]:
    was_folder = bool(under) and stat.S_ISDIR(os.lstat(under[0]).st_mode)
    opaque = _is_opaque(place)
    inside = list(_changes(place, name, under if was_folder and not opaque else ()))
    if opaque and was_folder:
        inside.append(_Change(name + b"/" + _OPAQUE_NAME, place, None, name))
    if inside or not was_folder or not _is_same(place, state, under[0]):
        yield _Change(name, place, state)
        yield from inside


def _showing(name: bytes, below: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return what shows through under ``name``, top first: one file, or the folders that are merged."""
    found: list[bytes] = []
    for folder in below:
        place = folder + b"/" + name
        try:
            state = os.lstat(place)
        except FileNotFoundError:
            continue
        if _is_removal(state):
            break
        if not stat.S_ISDIR(state.st_mode):
            return tuple(found) or (place,)
        found.append(place)
        if _is_opaque(place):
            break
    return tuple(found)


def _write(
    change: _Change,
    writer: LayerWriter,
    first_names: dict[tuple[int, int], bytes],
    *,
    started: int,
    epoch: int,
) -> None:
    state = change.state
    if state is None:
        if change.name.endswith(b"/" + _OPAQUE_NAME):
            writer.add_opaque(change.subject, mtime=epoch)
        else:
            writer.add_whiteout(change.subject, mtime=epoch)
        return
    written = int(state.st_mtime)
    time = epoch if written >= started else written
    uid, gid, mode = state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)
    capability = _attribute(change.place, CAPABILITY)
    xattrs = {CAPABILITY: capability} if capability else {}
    if stat.S_ISDIR(state.st_mode):
        writer.add_directory(change.name, mode=mode, uid=uid, gid=gid, mtime=time)
    elif stat.S_ISLNK(state.st_mode):
        writer.add_symlink(change.name, os.readlink(change.place), uid=uid, gid=gid, mtime=time)
    elif stat.S_ISFIFO(state.st_mode):
        writer.add_fifo(change.name, mode=mode, uid=uid, gid=gid, mtime=time)
    elif not stat.S_ISREG(state.st_mode):
        device = (os.major(state.st_rdev), os.minor(state.st_rdev))
        block = stat.S_ISBLK(state.st_mode)
        writer.add_device(change.name, device, block=block, mode=mode, uid=uid, gid=gid, mtime=time)
    else:
        first = first_names.setdefault((state.st_dev, state.st_ino), change.name)
        if first != change.name:
            writer.add_hardlink(change.name, first, mode=mode, uid=uid, gid=gid, mtime=time)
            return
        writer.add_file(
            change.name,
            state.st_size,
            _content(change.place),
            mode=mode,
            uid=uid,
            gid=gid,
            mtime=time,
            xattrs=xattrs,
        )


def _is_removal(state: os.stat_result) -> bool:
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == 0


def _is_opaque(place: bytes) -> bool:
    return _attribute(place, OPAQUE) == b"y"


def _is_same(place: bytes, state: os.stat_result, lower: bytes) -> bool:
    """Return whether an entry is what lies below, times left aside."""
    old = os.lstat(lower)
    if (state.st_mode, state.st_uid, state.st_gid) != (old.st_mode, old.st_uid, old.st_gid):
        return False
    if stat.S_ISLNK(state.st_mode):
        return os.readlink(place) == os.readlink(lower)
    if stat.S_ISREG(state.st_mode):
        return (
            state.st_size == old.st_size
            and _attribute(place, CAPABILITY) == _attribute(lower, CAPABILITY)
            and _digest(place) == _digest(lower)
        )
    return stat.S_ISDIR(state.st_mode)


def _attribute(place: bytes, name: str) -> bytes | None:
    try:
        return os.getxattr(place, name, follow_symlinks=False)
    except OSError:
        return None


def _content(place: bytes) -> Iterator[bytes]:
    with open(place, "rb", buffering=0) as file:
        while block := file.read(CHUNK):
            yield block


def _digest(place: bytes) -> bytes:
    state = hashlib.sha256()
    for block in _content(place):
        state.update(block)
    return state.digest()
