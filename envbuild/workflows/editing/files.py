"""Files of a project that are edited together: read once, written all or none."""

import codecs
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envbuild.errors import EnvbuildError
from envbuild.files import atomic
from envbuild.spec.files import read_text
from envbuild.spec.problems import RefusedError
from envbuild.workflows.project import Project

_MARK = "\ufeff"


@dataclass(slots=True)
class ProjectFiles:
    """Texts of the spec and of the files beside it, as they were when they were first read."""

    project: Project
    _texts: dict[str, str] = field(default_factory=dict)
    _bytes: dict[str, bytes] = field(default_factory=dict)

    def read(self, file: str) -> str:
        """Return the text of a file, without a byte order mark.

        :raises RefusedError: it cannot be read, or is outside the folder of the spec.
        """
        if file not in self._texts:
            path = self.path(file)
            inside = None if file == self.project.spec.name else self.project.folder
            text = read_text(path, shown=file, inside=inside)
            self._bytes[file] = path.read_bytes()
            self._texts[file] = text.removeprefix(_MARK)
        return self._texts[file]

    def path(self, file: str) -> Path:
        """Return where a file is."""
        return self.project.folder / file

    def require_writable(self, file: str) -> None:
        """Raise where a file cannot be changed: before long work, not after it.

        :raises EnvbuildError: it is read-only, or not UTF-8.
        """
        self.read(file)
        path = self.path(file)
        if not os.access(path.resolve().parent, os.W_OK) or not os.access(path, os.W_OK):
            raise EnvbuildError(f"{file} cannot be written", hint="change it by hand")
        if self._bytes[file].startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise EnvbuildError(f"{file} is not UTF-8", hint="save it as UTF-8")

    def change(self, file: str, text: str) -> "FileChange":
        """Return a change of a file: its mode, its byte order mark and a link to it stay."""
        self.read(file)
        before = self._bytes[file]
        mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
        path = self.path(file).resolve()
        return FileChange(
            path, before, mark + text.removeprefix(_MARK).encode(), mode=path.stat().st_mode & 0o7777
        )


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that gets other bytes."""

    path: Path
    before: bytes | None
    """None: it is not there."""

    after: bytes
    mode: int = 0o644


def write_together(changes: Sequence[FileChange]) -> None:
    """Write all files in their order, or put back those that were written.

    :raises EnvbuildError: one was changed by somebody else since it was read; none is written.
    :raises OSError: what the system says.
    """
    for change in changes:
        if _bytes_of(change.path) != change.before:
            raise EnvbuildError(
                f"{change.path.name} was changed meanwhile; nothing was written",
                hint="run the command again",
            )
    begun: list[FileChange] = []
    try:
        for change in changes:
            begun.append(change)
            atomic.write_bytes(change.path, change.after, mode=change.mode)
    except BaseException:
        for change in reversed(begun):
            with contextlib.suppress(OSError):
                _put_back(change)
        raise


def _put_back(change: FileChange) -> None:
    if change.before is None:
        change.path.unlink(missing_ok=True)
    else:
        atomic.write_bytes(change.path, change.before, mode=change.mode)


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def unreadable(error: RefusedError) -> EnvbuildError:
    """Return the error of a file that cannot be read."""
    from envbuild.errors import SpecError

    return SpecError(error.message, hint=error.hint)
