"""Digests remembered between commands, only where a file that changed is sure to be noticed.

A digest is believed where path, device, inode, size, modification and change time are all as they were.  The
change time is what makes that safe: no user can set it.  Not remembered are

- files touched less than two seconds before they were read: a later write could leave all of these as they
  are, as git's "racily clean" entries (https://git-scm.com/docs/racy-git);
- files of file systems that do not keep inodes and both times themselves, at once: NFS answers from a cache
  of attributes (nfs(5), "Data and metadata coherence"), FUSE file systems answer what their program says, FAT
  has neither inodes nor change times.

Beside the digests of the files stands the digest of the whole, with that of all that tells the state of its
files: a second look at a folder where nothing changed makes nothing of each file but its line in that.
"""

import contextlib
import hashlib
import marshal
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from envbuild.cache.folders import DATA_DIGESTS
from envbuild.cache.notes import read_note, try_note
from envbuild.data.file_systems import keeps_times
from envbuild.data.scan import FileIdentity, FoundFile, Row
from envbuild.digest import canonical_json, sha256_bytes

RACY_NANOSECONDS: Final = 2_000_000_000
"""Coarser than the clock of any file system of :mod:`envbuild.data.file_systems`, and a kernel's tick."""

_OTHERS_WRITE: Final = 0o022
_DIGITS: Final = 64


_ROWS_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeData:
    """A data entry as a whole."""

    digest: str
    """Of its manifest: ``sha256:...``."""

    size: int
    """Bytes of all files."""

    files: int
    """Number of files."""

    read: int = 0
    """Bytes that were read; the rest was remembered."""


class DigestMemory(Protocol):
    """Remembers digests of files."""

    def recall_whole(self, root: Path, rows: Sequence[Row]) -> WholeData | None:
        """Return what was remembered of all files, if every one is surely as it was, and no other there."""

    def remember_whole(self, root: Path, rows: Sequence[Row], whole: WholeData, *, began: int) -> None:
        """Remember what all files are, if each can be; reading of the first began at ``began``."""

    def recall(self, root: Path, found: Sequence[FoundFile]) -> dict[str, str]:
        """Return the hexadecimal sha256 of those files that are surely as they were, by path."""

    def remember(
        self, root: Path, found: Sequence[FoundFile], digests: Mapping[str, str], *, began: int
    ) -> None:
        """Remember digests, by path; reading of the first began at ``began``, in nanoseconds."""


class NoMemory:
    """Remembers nothing."""

    def recall_whole(self, root: Path, rows: Sequence[Row]) -> WholeData | None:
        """Return nothing."""

    def remember_whole(self, root: Path, rows: Sequence[Row], whole: WholeData, *, began: int) -> None:
        """Do nothing."""

    def recall(self, root: Path, found: Sequence[FoundFile]) -> dict[str, str]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def remember(
        self, root: Path, found: Sequence[FoundFile], digests: Mapping[str, str], *, began: int
    ) -> None:
        """Do nothing."""


class CachedDigests:
    """Remembers digests in the cache folder: a note for each root, read and written as a whole."""

    def __init__(self, cache: Path, *, is_safe: Callable[[int], bool] | None = None) -> None:
        """Keep notes below ``cache``; ``is_safe`` says of a device whether its file system can be trusted."""
        self._folder = DATA_DIGESTS.path(cache)
        self._is_safe = is_safe or keeps_times()

    def recall(self, root: Path, found: Sequence[FoundFile]) -> dict[str, str]:
        """Return the digests of those files that are surely as they were."""
        note = self._note(root)
        if not _is_ours(note):
            return {}
        rows = read_note(note, _rows) or {}
        recalled = {}
        for file in found:
            row = rows.get(file.path)
            # the digest, then the identity: one text, for there may be millions
            if row is not None and row[_DIGITS:] == _key(file.identity) and self._is_safe(file.identity[0]):
                recalled[file.path] = row[:_DIGITS]
        return recalled

    def remember(
        self, root: Path, found: Sequence[FoundFile], digests: Mapping[str, str], *, began: int
    ) -> None:
        """Remember digests; where nothing can be written, the files are read again next time."""
        latest = began - RACY_NANOSECONDS
        rows = {
            file.path: digests[file.path] + _key(file.identity)
            for file in found
            if file.path in digests
            and max(file.identity.modified, file.identity.changed) < latest
            and self._is_safe(file.identity.device)
        }
        note = self._note(root)
        if rows and read_note(note, _rows, is_use=False) != rows:
            try_note(note, rows)

    def recall_whole(self, root: Path, rows: Sequence[Row]) -> WholeData | None:
        """Return what was remembered of all files, if every one is surely as it was, and no other there."""
        note = self._note(root, "whole")
        if not _is_ours(note) or not self._are_safe(rows):
            return None
        held = read_note(note, _whole)
        return held[1] if held is not None and held[0] == _state(rows) else None

    def remember_whole(self, root: Path, rows: Sequence[Row], whole: WholeData, *, began: int) -> None:
        """Remember what all files are, unless one of them is not to be remembered."""
        latest = began - RACY_NANOSECONDS
        if not self._are_safe(rows) or any(max(row[2][3:]) >= latest for row in rows):
            return
        document = {"digest": whole.digest, "files": whole.files, "size": whole.size, "state": _state(rows)}
        note = self._note(root, "whole")
        if read_note(note, dict, is_use=False) != document:
            try_note(note, document)

    def _are_safe(self, rows: Sequence[Row]) -> bool:
        return all(map(self._is_safe, {row[2][0] for row in rows}))

    def _note(self, root: Path, kind: str = "files") -> Path:
        name = sha256_bytes(canonical_json(os.fsencode(os.path.realpath(root)).hex()))
        return self._folder / name[:2] / (f"{name}.json" if kind == "files" else f"{name}-{kind}.json")


def _key(identity: FileIdentity) -> str:
    return " {} {} {} {} {}".format(*identity)


def _state(rows: Sequence[Row]) -> str:
    """Return a digest of paths and identities, in the order they were found."""
    state = hashlib.sha256()
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        # the quickest form that has no two meanings; of later versions bytes depend on more than values
        state.update(marshal.dumps(list(rows[start : start + _ROWS_AT_ONCE]), 2))
    return state.hexdigest()


def _whole(document: Any) -> tuple[str, WholeData]:
    """Return the state in a note, and what it is of.  :raises TypeError: it is no such note."""
    state, digest = document["state"], document["digest"]
    size, files = document["size"], document["files"]
    if not (type(state) is type(digest) is str and type(size) is type(files) is int):
        raise TypeError
    return state, WholeData(digest=digest, size=size, files=files)


def _rows(document: Any) -> dict[str, str]:
    """Return a note's rows.  :raises TypeError: it is not one."""
    rows: dict[str, str] = document
    # one that is not a digest is that of no file, and what hashes to it has changed
    if not set(map(type, rows.values())) <= {str}:
        raise TypeError
    return rows


def _is_ours(note: Path) -> bool:
    """Return whether nobody else could have written a note."""
    with contextlib.suppress(OSError):
        status = note.stat(follow_symlinks=False)
        return status.st_uid in {os.geteuid(), 0} and not status.st_mode & _OTHERS_WRITE
    return False
