"""Files on their way to where data is: beside it, locked to one process, named as they will be when whole."""

import contextlib
import hashlib
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from envbuild.errors import EnvbuildError
from envbuild.files.disk import is_of_disk
from envbuild.files.locks import wait_for_lock

PIECE: Final = 1 << 20
_NO_STOP: Final = threading.Event()


class DataPartial:
    """Bytes received so far, in a file: what was received survives a killed process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take over a locked descriptor of the file at ``path``; what it holds counts as received."""
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

    def content(self) -> bytes:
        """Return all bytes: of small files alone."""
        self._file.seek(0)
        return self._file.read()

    def place(self, target: Path) -> None:
        """Make the file visible as ``target``, on disk before its name is.  :raises OSError: it cannot be."""
        target.parent.mkdir(parents=True, exist_ok=True)
        os.fchmod(self._file.fileno(), 0o644)
        os.fsync(self._file.fileno())
        self.path.replace(target)

    def close(self) -> None:
        """Give up the lock."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class PartialFolder:
    """The hidden folder beside a data entry in which its files arrive."""

    folder: Path

    @classmethod
    def beside(cls, root: Path) -> "PartialFolder":
        """Return the folder beside ``root``, or beside what it leads to; on the same file system."""
        real = Path(os.path.realpath(root))
        return cls(real.parent / f".{real.name}.partial")

    @contextlib.contextmanager
    def receiving(self, name: str, *, stop: threading.Event = _NO_STOP) -> Iterator[DataPartial]:
        """Yield the file called ``name``, when no other process holds it.

        :raises StoppedError: ``stop`` was set meanwhile.
        :raises OSError: the disk refuses.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        partial = DataPartial(path, wait_for_lock(path, stop=stop))
        try:
            yield partial
        finally:
            partial.close()

    def received(self, name: str) -> int:
        """Return how many bytes there are of a file."""
        with contextlib.suppress(OSError):
            return (self.folder / name).stat(follow_symlinks=False).st_size
        return 0

    def remove_if_empty(self) -> None:
        """Remove the folder when everything in it has arrived."""
        with contextlib.suppress(OSError):
            self.folder.rmdir()


class NoRoomError(EnvbuildError):
    """There is no room where data is to be."""


@contextlib.contextmanager
def placing_errors(root: Path) -> Iterator[None]:
    """Turn what the system refuses while data is written into an error that names where.

    :raises NoRoomError: the disk is full.
    :raises EnvbuildError: anything else.
    """
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        kind = NoRoomError if is_of_disk(error) else EnvbuildError
        raise kind(
            f"{root} cannot be written: {reason}" + (f" ({error.filename})" if error.filename else ""),
            hint="make room or give access, then run the command again: what was received is kept",
        ) from error
