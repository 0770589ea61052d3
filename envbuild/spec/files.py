"""Reading the files a spec consists of: the only place of this room that touches the disk."""

import codecs
from pathlib import Path

from envbuild.spec.problems import RefusedError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),  # what `pip freeze > file` gives in PowerShell
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, *, shown: str | None = None) -> str:
    """Return a file's text, line ends as they are.  ``shown`` is what messages call it.

    :raises RefusedError: it is missing, cannot be read, or is not text.
    """
    shown = shown or path.name
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise RefusedError(f"`{shown}` does not exist") from error
    except IsADirectoryError as error:
        raise RefusedError(f"`{shown}` is a folder") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a file name"
        raise RefusedError(f"`{shown}` cannot be read: {reason}") from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RefusedError(f"`{shown}` is not UTF-8 text: line {line}", hint="save it as UTF-8") from error
