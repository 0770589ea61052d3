"""Files on their way to where data is: beside it, locked to one process, named as they will be when whole."""

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from envbuild.errors import EnvbuildError
from envbuild.files.disk import is_of_disk
from envbuild.files.locks import wait_for_lock
from envbuild.files.received import ReceivedFile

_NO_STOP: Final = threading.Event()


class DataPartial(ReceivedFile):
    """A file of data that arrives."""

    def content(self) -> bytes:
        """Return all bytes: of small files alone."""
        self._file.seek(0)
        return self._file.read()


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
