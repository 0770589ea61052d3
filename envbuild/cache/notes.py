"""Small JSON files in the cache folder: what was found out once, and can be found out again.

A note that is missing, damaged, too large, or not what its reader expects is as good as none.
"""

import contextlib
import gzip
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.files.atomic import write_bytes
from envbuild.files.last_use import note_use

LARGEST: Final = 1 << 28
"""Bytes of JSON that are read."""

_DIGEST_LINE: Final = re.compile(rb"([0-9a-f]{64})\n")

_DAMAGED: Final = (
    *(OSError, EOFError, zlib.error, RecursionError),
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
)

_Value = TypeVar("_Value")


def read_note(path: Path, read: Callable[[Any], _Value], *, is_use: bool = True) -> _Value | None:
    """Return what ``read`` makes of the document at ``path``, or None.

    ``read`` may raise what wrong documents bring about: ValueError, LookupError,
    TypeError, AttributeError, ArithmeticError.
    With ``is_use`` the note counts as used now.
    """
    try:
        value = read(_document(path))
    except _DAMAGED:
        return None
    if is_use:
        note_use(path)
    return value


def write_note(path: Path, document: Any) -> None:
    """Keep a document; compressed if the name says so.

    :raises OSError: it cannot be written.
    """
    data = canonical_json(document)
    data = sha256_bytes(data).encode() + b"\n" + data
    write_bytes(path, gzip.compress(data, compresslevel=6, mtime=0) if path.suffix == ".gz" else data)


def try_note(path: Path, document: Any) -> None:
    """Keep a document; where nothing can be written, it is found out again next time."""
    with contextlib.suppress(OSError):
        write_note(path, document)


def _document(path: Path) -> Any:
    with path.open("rb") as file, gzip.open(file) if path.suffix == ".gz" else file as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("too large")
    # a note of an earlier release has no such line
    if line := _DIGEST_LINE.match(data):
        data = data[line.end() :]
        if sha256_bytes(data).encode() != line[1]:
            raise ValueError("damaged")
    return json.loads(data)
