"""The few fields of an ELF file that say where its sections are.  Pure; 64-bit little-endian files only.

Layout: System V Application Binary Interface (gABI), chapters "ELF Header" and "Sections".  All machines we
build images for are 64-bit and little-endian.
"""

import struct
from dataclasses import dataclass
from typing import Final

HEADER_SIZE: Final = 64
MAGIC: Final = b"\x7fELF"

_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_CLASS_64, _LITTLE_ENDIAN = 2, 1
_EXTENDED: Final = 0xFFFF
"""``SHN_XINDEX``: the index is in ``sh_link`` of section 0."""

_MOST_SECTIONS: Final = 100_000


class ElfError(ValueError):
    """The bytes are no ELF file as linkers write them; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class SectionTable:
    """Where the section headers are."""

    offset: int
    """0: there are none."""

    count: int
    names: int
    """Index of the section that holds the names."""

    @property
    def end(self) -> int:
        """Offset just behind the headers."""
        return self.offset + self.count * _SECTION.size


@dataclass(frozen=True, slots=True)
class ElfSection:
    """One section: an index into the names, and the bytes it covers in the file."""

    name: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Offset just behind the section."""
        return self.offset + self.size


def section_table(header: bytes, *, size: int) -> SectionTable | None:
    """Return where the section headers of a file of ``size`` bytes are; None: it is no 64-bit ELF.

    ``header`` is the file's first 64 bytes.  The number of sections may still be 0 for files with very many:
    see :func:`sections`.

    :raises ElfError: the header contradicts itself or the size of the file.
    """
    if len(header) < HEADER_SIZE or not header.startswith(MAGIC):
        return None
    if (header[4], header[5]) != (_CLASS_64, _LITTLE_ENDIAN):
        return None
    (offset,) = struct.unpack_from("<Q", header, 40)
    entry_size, count, names = struct.unpack_from("<HHH", header, 58)
    if offset == 0:
        return SectionTable(0, 0, 0)
    if entry_size != _SECTION.size:
        raise ElfError(f"its section headers have {entry_size} bytes instead of {_SECTION.size}")
    table = SectionTable(offset, count, names)
    if offset < HEADER_SIZE or max(table.end, offset + _SECTION.size) > size:
        raise ElfError("its section headers lie outside the file")
    return table


def true_table(table: SectionTable, first: bytes) -> SectionTable:
    """Return ``table`` with the numbers that did not fit into the ELF header, from section header 0.

    :raises ElfError: there are more sections than can be right.
    """
    header = _SECTION.unpack_from(first)
    count = table.count or header[5]
    if count > _MOST_SECTIONS:
        raise ElfError(f"it claims to have {count} sections")
    names = header[6] if table.names == _EXTENDED else table.names
    if count and names >= count:
        raise ElfError("the section of its section names does not exist")
    return SectionTable(table.offset, count, names)


def sections(headers: bytes) -> tuple[ElfSection, ...]:
    """Return the sections that ``headers``, the whole table, describes."""
    whole = len(headers) - len(headers) % _SECTION.size
    return tuple(
        ElfSection(name=fields[0], offset=fields[4], size=fields[5])
        for fields in _SECTION.iter_unpack(headers[:whole])
    )


def name_at(names: bytes, index: int) -> bytes:
    """Return the name at ``index`` of the section of names.  :raises ElfError: it does not end there."""
    end = names.find(b"\0", index)
    if index > len(names) or end < 0:
        raise ElfError("a section name lies outside the section of names")
    return names[index:end]
