"""A local file that a download is written to."""

from pathlib import Path
from typing import Self

from envbuild.errors import EnvbuildError
from envbuild.files.atomic import write_all


class TargetFile:
    """A file being written, whose errors are told apart from those of the network."""

    def __init__(self, path: Path) -> None:
        """Write to ``path``."""
        self._path = path

    def __enter__(self) -> Self:
        """Open the file.  :raises EnvbuildError: it cannot be."""
        try:
            # unbuffered: no error is left for closing
            self._stream = self._path.open("wb", buffering=0)
        except OSError as error:
            raise self._failed(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._stream.close()

    def write(self, chunk: bytes) -> None:
        """Write ``chunk`` at the end.  :raises EnvbuildError: the disk refuses."""
        try:
            write_all(self._stream.fileno(), chunk)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> EnvbuildError:
        return EnvbuildError(f"cannot write {self._path}: {error.strerror}")
