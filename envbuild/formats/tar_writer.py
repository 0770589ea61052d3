"""Headers of tar entries, the same bytes on every machine.

POSIX.1-2017 pax interchange format as image-spec asks for: what fits is in the ustar header alone, what does
not is in a pax record before it.  No names of users, no access or change times.  The standard library's
writer would do as much today; this one is ours so that no release of Python changes the digest of a layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

BLOCK = 512
FILE, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_PAX = b"x"

_NAME_BYTES = 100
_SEVEN_DIGITS = 0o7777777
_ELEVEN_DIGITS = 0o77777777777


@dataclass(frozen=True, slots=True, kw_only=True)
class TarEntry:
    """What a header says; the content follows it."""

    name: bytes
    """Relative path without a slash at its end."""

    kind: bytes = FILE
    size: int = 0
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    """Seconds since 1970."""

    target: bytes = b""
    """Of a link."""

    device: tuple[int, int] = (0, 0)
    """Major and minor number."""

    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    """Extended attributes, written as the ``SCHILY.xattr`` records that Go's archive/tar and GNU tar read."""


def header(entry: TarEntry) -> bytes:
    """Return the blocks that come before the entry's content."""
    name = entry.name + b"/" if entry.kind == FOLDER else entry.name
    records = _records(entry, name)
    if not records:
        return _ustar(entry, name)
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    extended = TarEntry(name=b"", kind=_PAX, size=len(body), mode=0o644)
    # readers that know no pax take it for a file: it gets a name that harms nobody
    return _ustar(extended, b"././@PaxHeader") + body + padding(len(body)) + _ustar(entry, name)


def padding(size: int) -> bytes:
    """Return the zeros that fill up the last block of ``size`` bytes."""
    return bytes(-size % BLOCK)


END = bytes(2 * BLOCK)
"""What ends an archive."""


def _records(entry: TarEntry, name: bytes) -> dict[str, bytes]:
    """Return the fields the ustar header cannot hold, by pax key."""
    records = {f"SCHILY.xattr.{key}": value for key, value in entry.xattrs.items()}
    if len(name) > _NAME_BYTES or not name.isascii():
        records["path"] = name
    if len(entry.target) > _NAME_BYTES or not entry.target.isascii():
        records["linkpath"] = entry.target
    for key, value, most in (
        ("size", entry.size, _ELEVEN_DIGITS),
        ("mtime", entry.mtime, _ELEVEN_DIGITS),
        ("uid", entry.uid, _SEVEN_DIGITS),
        ("gid", entry.gid, _SEVEN_DIGITS),
    ):
        if not 0 <= value <= most:
            records[key] = b"%d" % value
    return records


def _record(key: str, value: bytes) -> bytes:
    """Return one pax record: its own length, a space, key=value and a line break."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest)
    while length != (total := len(rest) + len(str(length))):
        length = total
    return str(length).encode() + rest


def _ustar(entry: TarEntry, name: bytes) -> bytes:
    block = bytearray(BLOCK)
    block[0 : min(len(name), _NAME_BYTES)] = name[:_NAME_BYTES]
    block[100:108] = _octal(entry.mode & 0o7777, 8)
    block[108:116] = _octal(entry.uid, 8)
    block[116:124] = _octal(entry.gid, 8)
    block[124:136] = _octal(entry.size, 12)
    block[136:148] = _octal(entry.mtime, 12)
    block[148:156] = b" " * 8
    block[156:157] = entry.kind
    target = entry.target[:_NAME_BYTES]
    block[157 : 157 + len(target)] = target
    block[257:265] = b"ustar\x0000"
    block[329:337] = _octal(entry.device[0], 8)
    block[337:345] = _octal(entry.device[1], 8)
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _octal(value: int, width: int) -> bytes:
    """Return a number as its field holds it; one that does not fit is zero here and has a pax record."""
    digits = width - 1
    return b"%0*o\0" % (digits, value if 0 <= value < 8**digits else 0)
