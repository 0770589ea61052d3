"""What one layer of an image holds: every entry with its attributes and the digest of its content."""

import hashlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, NamedTuple

import zstandard

from envbuild.digest import CHUNK, OciDigest
from envbuild.formats.compression import unpacked
from envbuild.formats.tar_reader import LayerArchive, LayerError, normal_path
from envbuild.oci.layer_paths import BOOKKEEPING, OPAQUE, WHITEOUT

LARGEST_LAYER: Final = 1 << 35
"""Bytes of an uncompressed layer that are read: a small archive can unpack to any size."""

MOST_PATHS: Final = 2_000_000
"""Entries of one layer that are kept in memory."""

LONGEST_PATH: Final = 4096
LONGEST_NAME: Final = 255
"""Letters of a path, and of a name in it: Linux takes no more bytes (limits.h, PATH_MAX and NAME_MAX)."""

LONGEST_ATTRIBUTES: Final = 1 << 17
"""Characters of an entry's attributes; Linux takes 64 KiB of them."""

HARD_LINK: Final = "h"
"""Kind of an entry that is another name of a file; it never is the kind of a path of an image."""

_KINDS: Final = {
    tarfile.REGTYPE: "f",
    tarfile.AREGTYPE: "f",
    tarfile.CONTTYPE: "f",
    tarfile.SYMTYPE: "l",
    tarfile.LNKTYPE: HARD_LINK,
    tarfile.DIRTYPE: "d",
    tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b",
    tarfile.FIFOTYPE: "p",
}

_PLAIN_HEADERS: Final = frozenset(
    {"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime", "hdrcharset"}
)
"""Extended headers (pax(1)) that other fields of a record hold, or that are times."""

_NOT_KEPT: Final = frozenset({"LIBARCHIVE.creationtime", "SCHILY.ino", "SCHILY.nlink", "SCHILY.dev"})
"""Extended headers of what a file system gives anew to each file."""

_SPARSE: Final = "GNU.sparse."

DERIVED: Final = "envbuild."
"""What names begin with that no header gives: a header of such a name is listed under another."""

UNCHECKED_DIGEST: Final = f"{DERIVED}unchecked"
"""Not an attribute of the file: of bytecode that Python compares with its source at each import (PEP 552,
``checked-hash``), the sha256 that it would have as ``unchecked-hash``.  Dev containers set that one bit."""

FORM: Final = f"{DERIVED}form"
"""Not an attribute of the file: the type in its header, where that is not the usual one."""

_PLAIN_FILES: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})

_UNCHECKED, _CHECKED = b"\1\0\0\0", b"\3\0\0\0"

Attributes = tuple[tuple[str, str], ...]
"""Name and value in hexadecimal digits, sorted by name."""


class FileRecord(NamedTuple):
    """All that is compared of one path.  Times are not: nothing runs differently for them."""

    kind: str
    """``f`` file, ``l`` link, ``d`` folder, ``c`` and ``b`` devices, ``p`` named pipe."""

    mode: int
    """Permission bits; 0 of links, which have none."""

    uid: int
    gid: int
    size: int
    """Bytes of a file; else 0."""

    content: str | None
    """sha256 (hexadecimal) of a file, target of a link, ``major:minor`` of a device; else None."""

    attributes: Attributes = ()
    """Extended attributes, capabilities among them."""


IMPLIED_FOLDER: Final = FileRecord("d", 0o755, 0, 0, 0, None)
"""A folder that a layer needs and does not list, as engines make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerListing:
    """The entries of one layer, in the order of the archive."""

    diff_id: OciDigest
    """Digest of the uncompressed archive that was read."""

    size: int
    """Bytes of the same."""

    entries: tuple[tuple[str, FileRecord], ...]
    """Path without leading slash, and what is there; of a hard link ``content`` is the path it names."""

    whiteouts: tuple[str, ...] = ()
    """Paths that are removed from the layers below."""

    opaques: tuple[str, ...] = ()
    """Folders whose content in the layers below is removed."""

    late_whiteouts: tuple[str, ...] = ()
    """Those of ``whiteouts`` that come after the layer's own entries there, or below: some engines remove
    these too."""

    def document(self) -> list[Any]:
        """Return the listing as JSON values, for a cache."""
        entries = [
            [
                _unicode(path),
                *record[:5],
                None if record.content is None else _unicode(record.content),
                [[_unicode(name), value] for name, value in record.attributes],
            ]
            for path, record in self.entries
        ]
        removed = (
            [_unicode(path) for path in paths]
            for paths in (self.whiteouts, self.opaques, self.late_whiteouts)
        )
        return [self.diff_id, self.size, entries, *removed]

    @classmethod
    def of(cls, document: Any) -> "LayerListing":
        """Return the listing of a document.

        :raises ValueError: it is none; so do LookupError, TypeError and AttributeError say.
        """
        diff_id, size, entries, whiteouts, opaques, late_whiteouts = document
        return cls(
            diff_id=diff_id,
            size=size,
            entries=tuple(
                (
                    _path(path),
                    FileRecord(
                        kind=kind,
                        mode=mode,
                        uid=uid,
                        gid=gid,
                        size=length,
                        content=None if content is None else _path(content),
                        attributes=tuple((_path(name), value) for name, value in attributes),
                    ),
                )
                for path, kind, mode, uid, gid, length, content, attributes in entries
            ),
            whiteouts=tuple(map(_path, whiteouts)),
            opaques=tuple(map(_path, opaques)),
            late_whiteouts=tuple(map(_path, late_whiteouts)),
        )


def _unicode(path: str) -> str:
    """Return a path as text that every encoding can hold: bytes that are no UTF-8 are left in none."""
    return path if path.isascii() else path.encode(errors="surrogateescape").decode("latin-1")


def _path(text: str) -> str:
    """Return the path that :func:`_unicode` made ``text`` of."""
    return text if text.isascii() else text.encode("latin-1").decode(errors="surrogateescape")


def list_layer(chunks: Iterable[bytes]) -> LayerListing:
    """Read the layer whose bytes, compressed as they are, come in ``chunks``; nothing is written anywhere.

    The caller compares :attr:`LayerListing.diff_id` with the one it expects.

    :raises LayerError: it is no readable archive, or holds what no layer should.
    """
    digest, size = hashlib.sha256(), 0

    def hashed() -> Iterator[bytes]:
        nonlocal size
        for block in _decompressed(iter(chunks)):
            digest.update(block)
            size += len(block)
            if size > LARGEST_LAYER:
                raise LayerError(f"a layer unpacks to more than {LARGEST_LAYER} bytes")
            yield block

    archive = LayerArchive(hashed())
    entries: list[tuple[str, FileRecord]] = []
    whiteouts: list[str] = []
    opaques: list[str] = []
    late_whiteouts: list[str] = []
    written: set[str] = set()
    with archive.whole():
        for entry, content in archive.entries():
            _require_plain(entry)
            folder, _, name = entry.name.rpartition("/")
            if len(entries) + len(whiteouts) + len(opaques) == MOST_PATHS:
                raise LayerError(f"a layer has more than {MOST_PATHS} entries")
            if not name.startswith(WHITEOUT):
                entries.append((entry.name, _record(entry, content)))
                _add_with_folders(written, entry.name)
            elif name == OPAQUE:
                opaques.append(folder)
            elif not name.startswith(BOOKKEEPING):
                whiteouts.append(f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
                late_whiteouts += whiteouts[-1:] if whiteouts[-1] in written else []
    return LayerListing(
        diff_id=f"sha256:{digest.hexdigest()}",
        size=size,
        entries=tuple(entries),
        whiteouts=tuple(whiteouts),
        opaques=tuple(opaques),
        late_whiteouts=tuple(late_whiteouts),
    )


def _add_with_folders(paths: set[str], path: str) -> None:
    while path and path not in paths:
        paths.add(path)
        path = path.rpartition("/")[0]


def _decompressed(packed: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the archive in ``packed``, and whatever is behind it.

    :raises LayerError: it cannot be decompressed.
    """
    try:
        yield from unpacked(packed)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        # whoever gives the bytes may know them to be damaged, and says so at their end
        for _ in packed:
            pass
        raise LayerError("a layer cannot be decompressed", detail=str(error)[:200]) from error


def _require_plain(entry: tarfile.TarInfo) -> None:
    """Return if an entry is one that systems have, in a form that every program reads the same way.

    :raises LayerError: it has holes, of which programs keep different accounts, or a name no system has.
    """
    if entry.type == tarfile.GNUTYPE_SPARSE or any(name.startswith(_SPARSE) for name in entry.pax_headers):
        raise LayerError(f"a layer has a file that is stored with holes: {entry.name[:200]!r}")
    if len(entry.name) > LONGEST_PATH or len(entry.linkname) > LONGEST_PATH:
        raise LayerError(f"a layer has a path of more than {LONGEST_PATH} letters: {entry.name[:200]!r}")
    if any(len(name) > LONGEST_NAME for name in entry.name.split("/")):
        raise LayerError(f"a layer has a name of more than {LONGEST_NAME} letters: {entry.name[:200]!r}")


def _record(entry: tarfile.TarInfo, content: IO[bytes] | None) -> FileRecord:
    kind = _KINDS.get(entry.type)
    if kind is None:
        # some programs make a file of it, engines unpack no such layer
        raise LayerError(f"a layer has an entry of the unknown kind {entry.type!r}: {entry.name!r}")
    held: str | None = None
    derived: Attributes = ()
    if kind == "f":
        state, first = hashlib.sha256(), b""
        while content is not None and (block := content.read(CHUNK)):
            first = first or block
            state.update(block)
        held = state.hexdigest()
        if entry.type not in _PLAIN_FILES:
            derived = ((FORM, entry.type.hex()),)
        if entry.name.endswith(".pyc") and len(first) == entry.size and first[4:8] == _CHECKED:
            unchecked = hashlib.sha256(first[:4] + _UNCHECKED + first[8:])
            derived += ((UNCHECKED_DIGEST, unchecked.hexdigest()),)
    elif kind == HARD_LINK:
        held = normal_path(entry.linkname)
    elif kind == "l":
        held = entry.linkname
    elif kind in {"c", "b"}:
        held = f"{entry.devmajor}:{entry.devminor}"
    return FileRecord(
        kind=kind,
        mode=0 if kind == "l" else entry.mode & 0o7777,
        uid=entry.uid,
        gid=entry.gid,
        size=entry.size if kind == "f" else 0,
        content=held,
        attributes=(_attributes(entry) if entry.pax_headers else ()) + derived,
    )


def _attributes(entry: tarfile.TarInfo) -> Attributes:
    found = tuple(
        (
            f"header.{name}" if name.startswith(DERIVED) else name,
            value.encode(errors="surrogateescape").hex(),
        )
        for name, value in sorted(entry.pax_headers.items())
        if name not in _PLAIN_HEADERS and name not in _NOT_KEPT
    )
    if sum(len(name) + len(value) for name, value in found) > LONGEST_ATTRIBUTES:
        raise LayerError(f"a layer has an entry with too many attributes: {entry.name!r}")
    return found
