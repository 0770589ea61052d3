"""Reading the files a spec consists of: the only place of this room that touches the disk."""

import codecs
import contextlib
import os
import stat
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from envbuild.spec.problems import RefusedError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),  # what `pip freeze > file` gives in PowerShell
    (codecs.BOM_UTF16_BE, "utf-16"),
)


MOST_FILES = 500
"""Files that one pattern finds."""

MOST_BYTES = 16 * 1024 * 1024
"""Size of a file that a spec, or a file it names, may be."""


def read_text(path: Path, *, shown: str | None = None, inside: Path | None = None) -> str:
    """Return a file's text, line ends as they are.  ``shown`` is what messages call it.

    ``inside`` is the folder it must lie in, whatever links lead to it; None: the user named the file.

    :raises RefusedError: it is missing, cannot be read, is no regular file, too large, or not text; nothing
        of what is in it is told.
    """
    shown = shown or path.name
    try:
        if inside is not None:
            _require_inside(path, inside, shown)
        data = _read_regular(path, shown)
    except FileNotFoundError as error:
        raise RefusedError(f"`{shown}` does not exist") from error
    except IsADirectoryError as error:
        raise RefusedError(f"`{shown}` is a folder") from error
    except RefusedError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a file name"
        raise RefusedError(f"`{shown}` cannot be read: {reason}") from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RefusedError(f"`{shown}` is not UTF-8 text: line {line}", hint="save it as UTF-8") from error


def find_files(folder: Path, patterns: Iterable[str]) -> list[str]:
    """Return the files of ``folder`` that match, sorted; a pattern that leads out matches none."""
    found: set[str] = set()
    for pattern in patterns:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            continue
        with contextlib.suppress(OSError, ValueError, NotImplementedError):
            paths = islice(folder.glob(pattern), MOST_FILES)
            found.update(path.relative_to(folder).as_posix() for path in paths if path.is_file())
    return sorted(found)


def _require_inside(path: Path, folder: Path, shown: str) -> None:
    """Refuse a file outside the project, such as another one's secrets."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RefusedError(
            f"`{shown}` is outside the folder of the spec",
            hint="a spec takes files of its own folder alone: copy the file there, or move the spec to the "
            "folder that holds both",
        )


def _read_regular(path: Path, shown: str) -> bytes:
    # not blocking: opening a pipe would wait for somebody to write into it
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:  # noqa: PTH123 - it is open already
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            raise RefusedError(f"`{shown}` is not a regular file")
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise RefusedError(
            f"`{shown}` is larger than {MOST_BYTES >> 20} MiB", hint="a file of requirements has kilobytes"
        )
    return data
