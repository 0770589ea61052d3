"""A file on its way into the store: it grows, locked to one process, and becomes visible when whole."""

import hashlib
import io
import os
from pathlib import Path

from envbuild.digest import CHUNK

MODE = 0o644
"""Of every stored file.  Not 0444: staged files are hard links, and share it."""

MODIFIED = 315_532_800
"""Modification time of every stored file: 1980-01-01, the oldest a zip knows.  It carries no meaning."""


class Partial:
    """Bytes received so far and their sha256.

    Writes are unbuffered, so whatever was received survives ``kill -9`` and is not fetched again.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take over a locked descriptor of the file at ``path``; what it holds already counts as received."""
        self.path = path
        self._file = io.FileIO(descriptor, "r+b")
        self._state = hashlib.sha256()
        self._position = 0
        while chunk := self._file.read(CHUNK):
            self._state.update(chunk)
            self._position += len(chunk)

    @property
    def position(self) -> int:
        """How many bytes there are."""
        return self._position

    @property
    def sha256(self) -> str:
        """The hexadecimal sha256 of the bytes there are."""
        return self._state.hexdigest()

    def append(self, data: bytes) -> None:
        """Write ``data`` at the end.  :raises OSError: when the disk refuses."""
        rest = memoryview(data)
        while rest:
            written = self._file.write(rest)
            self._state.update(rest[:written])
            self._position += written
            rest = rest[written:]

    def restart(self) -> None:
        """Forget everything received."""
        self._file.seek(0)
        self._file.truncate()
        self._state = hashlib.sha256()
        self._position = 0

    def finish(self, target: Path) -> None:
        """Make the file visible as ``target``, on disk before its name is."""
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = self._file.fileno()
        os.fchmod(descriptor, MODE)
        os.fsync(descriptor)
        os.utime(descriptor, (os.fstat(descriptor).st_atime, MODIFIED))
        self.path.replace(target)

    def remove(self) -> None:
        """Remove the file; the lock is held until :meth:`close`."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give up the lock."""
        self._file.close()
