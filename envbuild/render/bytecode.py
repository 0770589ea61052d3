"""What is said to and by the program that compiles the sources of one wheel (``compile.py`` of the recipe).

Laid beside the install script in the recipe, as :mod:`envbuild.render.wheel_files` is, and used by the local
engine: both start the same program in the same way, so that the same bytes come out.
"""

from __future__ import annotations

import base64
import posixpath
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENVIRONMENT: Mapping[str, str] = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
"""All that the program gets; before 3.11 the order of a set in bytecode followed the hash seed."""

_ISOLATES_AND_STAYS_THE_SAME = (3, 11)


class Compiled(NamedTuple):
    """What the program said."""

    cache_tag: str
    """``cpython-311``"""

    magic: str
    """Magic number, hexadecimal."""

    version: str
    """Of the interpreter: ``3.11.2``."""

    bytecode: tuple[bytes | None, ...]
    """For each source in order; None where it does not compile."""


def arguments(program: str, version: tuple[int, int]) -> tuple[str, ...]:
    """Return what follows the interpreter on the command line; ``program`` is the text of ``compile.py``.

    Neither site nor the environment has a say, and no bytecode of the standard library is left behind.
    ``-I`` would leave the hash seed to chance, and before 3.11 it shows.
    """
    isolation = "-I" if version >= _ISOLATES_AND_STAYS_THE_SAME else "-s"
    return (isolation, "-B", "-S", "-W", "ignore", "-c", program)


def encode_sources(sources: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the program's input; a source is its path in the image and its text."""
    frames = bytearray()
    for name, text in sources:
        path = name.encode(errors="surrogateescape")
        frames += struct.pack("<II", len(path), len(text)) + path + text
    return bytes(frames)


def decode_bytecode(output: bytes, sources: int) -> Compiled:
    """Return what the program said of so many sources.  :raises ValueError: it is not what it says."""
    head, *lines = output.split(b"\n")
    if len(lines) != sources + 1 or lines.pop():
        raise ValueError(f"the compiling interpreter spoke of {len(lines)} sources, not of {sources}")
    cache_tag, magic, version = head.decode("ascii").split(" ")
    bytecode = tuple(base64.b64decode(line, validate=True) if line else None for line in lines)
    return Compiled(cache_tag, magic, version, bytecode)


def bytecode_name(source: str, cache_tag: str) -> str:
    """Return the path of the bytecode of a source (PEP 3147)."""
    folder, name = posixpath.split(source)
    return posixpath.join(folder, "__pycache__", f"{name[: -len('.py')]}.{cache_tag}.pyc")
