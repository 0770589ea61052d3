"""A file that arrives: it grows, locked to one process, and gets its name when it is whole."""

import hashlib
import io
import os
from pathlib import Path
from typing import Final

PIECE: Final = 1 << 20
"""Bytes read at a time of what was received before."""


class ReceivedFile:
    """Bytes received so far and their sha256.

    Writes are unbuffered, so whatever was received survives ``kill -9`` and is not fetched again.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take over a locked descriptor of the file at ``path``; what it holds already counts as received."""
        self.path = path
        self._file = io.FileIO(descriptor, "r+b")
        self._state = hashlib.sha256()
        self._position = 0
        while piece := self._file.read(PIECE):
            self._state.update(piece)
            self._position += len(piece)

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

    def place(self, target: Path, *, mode: int = 0o644, modified: int | None = None) -> None:
        """Make the file visible as ``target``, on disk before its name is.

        ``modified`` is its modification time, in seconds since 1970; None: as it is.

        :raises OSError: it cannot be.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = self._file.fileno()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        if modified is not None:
            os.utime(descriptor, (os.fstat(descriptor).st_atime, modified))
        self.path.replace(target)

    def close(self) -> None:
        """Give up the lock."""
        self._file.close()
