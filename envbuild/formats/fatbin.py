"""What GPU architectures a library holds device code for, read in one pass without a GPU or CUDA's tools.

Device code lies in the sections ``.nv_fatbin`` and ``__nv_relfatbin`` as a chain of containers, each with a
header and entries of machine code (cubin) or PTX for one architecture.  Only headers are read, so it does not
matter how the code is compressed.  NVIDIA documents the container as opaque; the layout here is what
``fatbinary`` of CUDA 13.0 writes and agrees with ``cuobjdump`` (docs/adr/0012-reading-device-code.md).
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Final

from envbuild.formats import elf_sections as elf
from envbuild.formats.elf_sections import ElfError, ElfSection, SectionTable

SECTIONS: Final = frozenset({b".nv_fatbin", b"__nv_relfatbin"})

_MAGIC: Final = b"\x50\xed\x55\xba"
_CONTAINER: Final = struct.Struct("<4sHHQ")
_ENTRY: Final = struct.Struct("<HHIQ")
_ENTRY_READ: Final = 48
"""Bytes of an entry's header that are looked at: up to and with its flags."""

_ARCHITECTURE_AT, _FLAGS_AT = 28, 40
_PTX, _CUBIN = 1, 2
_ONLY_THIS, _ONLY_FAMILY = 1 << 20, 1 << 21
"""Flags of ``sm_90a`` (this architecture alone) and of ``sm_100f`` (its family alone)."""

_CHUNK: Final = 1 << 20
_BEFORE_TABLE: Final = 1 << 20
"""Bytes before the section headers that are kept: linkers put the section names there."""

OpenLibrary = Callable[[], IO[bytes]]


@dataclass(slots=True)
class DeviceCode:
    """Number of entries by architecture."""

    cubins: Counter[str] = field(default_factory=Counter)
    """``sm_75``, ``sm_90a`` → count."""

    ptx: Counter[str] = field(default_factory=Counter)
    """``compute_120`` → count."""

    def __bool__(self) -> bool:
        return bool(self.cubins or self.ptx)


@dataclass(frozen=True, slots=True)
class _Container:
    start: int
    end: int
    entries: tuple[tuple[int, str], ...]
    fault: str = ""


def read_device_code(open_library: OpenLibrary, *, size: int) -> DeviceCode:
    """Return the device code of the library of ``size`` bytes that ``open_library`` opens at its start.

    It is read once, front to back, in memory that does not grow with it; a second time only when its layout
    is unusual.  What is no 64-bit ELF file has none.

    :raises ElfError: it is an ELF file that cannot be read, or its device code is not laid out as known.
    """
    with open_library() as stream:
        window = _Window(stream)
        table = elf.section_table(window.at(0, elf.HEADER_SIZE), size=size)
        if table is None or table.offset == 0:
            return DeviceCode()
        window.keep(max(0, table.offset - _BEFORE_TABLE), max(table.end, table.offset + elf.HEADER_SIZE))
        containers = tuple(_containers(window, elf.HEADER_SIZE, size))
        window.at(table.end, 0)
    holding = _sections_of_device_code(window, table, open_library, size=size)
    if not holding:
        return DeviceCode()
    within = [item for item in containers if any(_inside(item, section) for section in holding)]
    if not _covers(within, holding):
        within = _read_again(open_library, holding)
    return _counted(within)


def _inside(container: _Container, section: ElfSection) -> bool:
    return section.offset <= container.start < section.end


def _covers(containers: list[_Container], holding: tuple[ElfSection, ...]) -> bool:
    """Whether the containers found without knowing the sections are all there is in them."""
    if any(item.fault for item in containers):
        return False
    for section in holding:
        position = section.offset
        for item in (item for item in containers if _inside(item, section)):
            # linkers align what they put one after another
            if item.start - position >= _CONTAINER.size:
                return False
            position = item.end
        if section.end - position >= _CONTAINER.size or position > section.end:
            return False
    return True


def _read_again(open_library: OpenLibrary, holding: tuple[ElfSection, ...]) -> list[_Container]:
    found = []
    with open_library() as stream:
        window = _Window(stream)
        for section in sorted(holding, key=lambda section: section.offset):
            found += list(_containers(window, section.offset, section.end))
    for item in found:
        if item.fault:
            raise ElfError(item.fault)
    if not found and any(section.size >= _CONTAINER.size for section in holding):
        raise ElfError("its device code is not laid out as known")
    return found


def _counted(containers: list[_Container]) -> DeviceCode:
    code = DeviceCode()
    for container in containers:
        for kind, name in container.entries:
            if kind == _CUBIN:
                code.cubins[f"sm_{name}"] += 1
            elif kind == _PTX:
                code.ptx[f"compute_{name}"] += 1
    return code


def _containers(window: "_Window", start: int, end: int) -> Iterator[_Container]:
    position = start
    while (found := window.find(_MAGIC, position, end)) is not None:
        container = _container(window, found, end)
        yield container
        position = container.end


def _container(window: "_Window", start: int, limit: int) -> _Container:
    """Read the container that begins at ``start``, or say what is wrong with it and end right behind."""
    wrong = start + len(_MAGIC)
    header = window.at(start, _CONTAINER.size)
    if len(header) < _CONTAINER.size:
        return _Container(start, wrong, (), "its device code ends in the middle of a header")
    _, version, header_size, size = _CONTAINER.unpack(header)
    position, end = start + header_size, start + header_size + size
    if version != 1 or header_size != _CONTAINER.size:
        return _Container(start, wrong, (), f"its device code has version {version}, which is unknown")
    if end > limit:
        return _Container(start, wrong, (), "a container of device code is longer than its section")
    entries = []
    while position < end:
        entry = window.at(position, _ENTRY_READ)
        if len(entry) < _ENTRY_READ:
            return _Container(start, wrong, (), "its device code ends in the middle of an entry")
        kind, _, entry_header, payload = _ENTRY.unpack_from(entry)
        if entry_header < _ENTRY_READ or position + entry_header + payload > end:
            return _Container(start, wrong, (), "an entry of device code is longer than its container")
        entries.append((kind, _architecture(entry)))
        position += entry_header + payload
    return _Container(start, end, tuple(entries))


def _architecture(entry: bytes) -> str:
    (number,) = struct.unpack_from("<I", entry, _ARCHITECTURE_AT)
    (flags,) = struct.unpack_from("<Q", entry, _FLAGS_AT)
    return f"{number}{'a' if flags & _ONLY_THIS else 'f' if flags & _ONLY_FAMILY else ''}"


def _sections_of_device_code(
    window: "_Window", table: SectionTable, open_library: OpenLibrary, *, size: int
) -> tuple[ElfSection, ...]:
    def part(start: int, length: int) -> bytes:
        if start + length > size:
            raise ElfError("a section lies outside the file")
        found = window.kept(start, length)
        if found is None:
            with open_library() as stream:
                found = _Window(stream).at(start, length)
        return found

    table = elf.true_table(table, part(table.offset, elf.HEADER_SIZE))
    if table.end > size:
        raise ElfError("its section headers lie outside the file")
    found = elf.sections(part(table.offset, table.end - table.offset))
    names = part(found[table.names].offset, found[table.names].size) if found else b""
    return tuple(
        section for section in found if section.size and elf.name_at(names, section.name) in SECTIONS
    )


class _Window:
    """A stream that is read forward, with what is at hand of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._buffer = b""
        self._start = 0
        self._kept_from = self._kept_to = 0
        self._kept = bytearray()

    def keep(self, start: int, end: int) -> None:
        """Keep these bytes when they come by."""
        self._kept_from, self._kept_to = start, end
        self._remember(self._start, self._buffer)

    def kept(self, start: int, length: int) -> bytes | None:
        """Return bytes that were kept, or None when they were not."""
        first = start - self._kept_from
        if first < 0 or first + length > len(self._kept):
            return None
        return bytes(self._kept[first : first + length])

    def at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes at ``offset``, fewer at the end; what lies before is given up."""
        self._drop(offset)
        while self._start + len(self._buffer) < offset + length and self._more():
            self._drop(offset)
        first = offset - self._start
        return self._buffer[first : first + length] if first >= 0 else b""

    def find(self, wanted: bytes, offset: int, end: int) -> int | None:
        """Return where ``wanted`` next stands whole in ``[offset, end)``."""
        while offset < end:
            self.at(offset, len(wanted))
            found = self._buffer.find(wanted, max(0, offset - self._start))
            if found >= 0:
                return self._start + found if self._start + found + len(wanted) <= end else None
            at_hand = self._start + len(self._buffer)
            if at_hand <= offset or (at_hand - offset < len(wanted) and not self._more()):
                return None
            offset = max(offset, at_hand - len(wanted) + 1)
        return None

    def _drop(self, offset: int) -> None:
        gone = min(max(0, offset - self._start), len(self._buffer))
        if gone >= _CHUNK or gone == len(self._buffer):
            self._buffer = self._buffer[gone:]
            self._start += gone

    def _more(self) -> bool:
        data = self._stream.read(_CHUNK)
        if data:
            self._remember(self._start + len(self._buffer), data)
            self._buffer = self._buffer + data if self._buffer else data
        return bool(data)

    def _remember(self, start: int, data: bytes) -> None:
        first, last = max(start, self._kept_from), min(start + len(data), self._kept_to)
        if first < last:
            self._kept += data[first - start : last - start]
