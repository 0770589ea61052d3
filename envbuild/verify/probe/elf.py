"""What a shared object says to the loader: what it needs, where to look for it (ELF gABI, ``.dynamic``)."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_LOAD, _DYNAMIC = 1, 2
_NULL, _NEEDED, _STRTAB, _SONAME, _RPATH, _RUNPATH = 0, 1, 5, 14, 15, 29
_LONGEST = 1 << 16
"""Bytes of a dynamic section, or of one string, that are read at most; real ones have some hundred."""


class DynamicSectionError(ValueError):
    """A file is no 64-bit little-endian shared object, or a damaged one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """The part of a dynamic section that decides what is loaded."""

    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    """Searched before ``LD_LIBRARY_PATH``; empty with a runpath, which switches it off (ld.so(8))."""

    runpath: tuple[str, ...]
    """Searched after it."""


def read_dynamic(path: Path) -> Dynamic:
    """Return what the file at ``path`` asks of the loader, ``$ORIGIN`` put in.

    :raises ElfError: it is not a shared object as this reads them.
    :raises OSError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return _read(stream, str(path.resolve().parent))
    except (struct.error, IndexError, OverflowError) as error:
        raise DynamicSectionError(f"{path}: damaged") from error


def _read(stream: BinaryIO, origin: str) -> Dynamic:
    header = stream.read(64)
    if header[:6] != b"\x7fELF\x02\x01":
        raise DynamicSectionError("not a 64-bit little-endian ELF file")
    (offset,) = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    segments = []
    for number in range(count):
        stream.seek(offset + number * size)
        kind, _, start, address, _, length = struct.unpack_from("<IIQQQQ", stream.read(size))
        segments.append((kind, start, address, length))
    dynamic = next((segment for segment in segments if segment[0] == _DYNAMIC), None)
    if dynamic is None:
        raise DynamicSectionError("not dynamically linked")
    stream.seek(dynamic[1])
    data = stream.read(min(dynamic[3], _LONGEST))
    entries = []
    for tag, value in struct.iter_unpack("<QQ", data[: len(data) - len(data) % 16]):
        if tag == _NULL:
            break
        entries.append((tag, value))
    else:
        raise DynamicSectionError("its dynamic section has no end")
    single = dict(reversed(entries))
    strings = _place_of(segments, single[_STRTAB]) if _STRTAB in single else 0

    def text(position: int) -> str:
        # the table also names every symbol, which can be many megabytes
        stream.seek(strings + position)
        raw = stream.read(_LONGEST)
        return raw[: raw.index(b"\0")].decode(errors="replace")

    def folders(tag: int) -> tuple[str, ...]:
        if tag not in single:
            return ()
        raw = text(single[tag]).replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        return tuple(dict.fromkeys(part for part in raw.split(":") if part))

    try:
        runpath = folders(_RUNPATH)
        return Dynamic(
            soname=text(single[_SONAME]) if _SONAME in single else None,
            needed=tuple(text(value) for tag, value in entries if tag == _NEEDED),
            rpath=() if runpath else folders(_RPATH),
            runpath=runpath,
        )
    except ValueError as error:
        raise DynamicSectionError("its strings have no end") from error


def _place_of(segments: list[tuple[int, int, int, int]], address: int) -> int:
    """Return where in the file lies what is loaded to ``address``."""
    for kind, start, begin, length in segments:
        if kind == _LOAD and begin <= address < begin + length:
            return start + address - begin
    raise DynamicSectionError("its strings are nowhere in the file")
