"""The entries of one image layer, streamed: gzip, zstd or plain tar in, one entry at a time out.

Nothing is written to disk, and memory does not grow with the layer: one block, one header.  The compression
is told from the first bytes, as engines do, because media types sometimes say another.

Engines read layers with Go's archive/tar, which is not of one mind with Python's tarfile about headers that
no program writes.  A layer that has some is refused: it would be one thing here and another in a container.
"""

import contextlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Final, Self, cast

import zstandard

from envbuild.errors import ImageError
from envbuild.formats.compression import ForwardStream, unpacked

LARGEST_HEADER: Final = 1 << 20
"""Bytes of one extended header: a name and attributes, never file content."""

LARGEST_ENTRY: Final = 1 << 38
"""Bytes of one file."""

MOST_ENTRIES: Final = 5_000_000

_EXTENDED = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
_LONG = frozenset({tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK})

_SPARSE: Final = frozenset({f"GNU.sparse.{name}" for name in ("major", "minor", "name", "realsize")})
"""Extended headers of a sparse file in the one form that is still written: 1.0 (GNU tar, sparse formats)."""

_DECIDING: Final = frozenset({"path", "linkpath", "size", "uid", "gid"})
"""Extended headers in the place of fields that are compared."""

_NUMBERS: Final = tuple(
    slice(*ends) for ends in ((100, 108), (108, 116), (116, 124), (124, 136), (329, 337), (337, 345))
)
"""Where a header has its numbers: mode, owner, group, size and device."""

_PREFIX, _MAGIC, _TRAILER = slice(345, 500), slice(257, 263), slice(508, 512)
_USTAR, _STAR = b"ustar\0", b"tar\0"

# the end of the archive: two empty blocks, or nothing at all
_HARMLESS = (tarfile.EOFHeaderError, tarfile.EmptyHeaderError)  # type: ignore[attr-defined]
_UNREADABLE = (
    tarfile.TarError,
    zlib.error,
    zstandard.ZstdError,
    EOFError,
    OverflowError,
    RecursionError,
    ValueError,
)


class LayerError(ImageError):
    """A layer is not a readable archive, or holds what no layer should."""


class LayerArchive:
    """A layer being read from front to back."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Read the layer whose bytes, compressed as they are, come in ``chunks``."""
        self._source = iter(chunks)

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Read the layer inside this block; what is left of it at the end, or after an error, is read too.

        Only then do its size and digest get verified, and bytes that arrived damaged are reported as such.

        :raises LayerError: it is no tar archive, is damaged, or has absurd sizes or unsafe paths.
        """
        try:
            yield
        except LayerError:
            self._drain()
            raise
        except _UNREADABLE as error:
            self._drain()
            raise LayerError("a layer is not a readable tar archive", detail=str(error)[:200]) from error
        self._drain()

    def entries(self) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """Yield each entry with its path normalised, and its content if it is a regular file.

        Content is gone once the next entry is asked for.  To be used inside :meth:`whole`.
        """
        stream = ForwardStream(unpacked(self._source))
        if stream.is_at_end():
            return
        archive = _StrictTar(
            # it has what TarFile calls when it only reads forward
            fileobj=cast("IO[bytes]", stream),
            mode="r",
            tarinfo=_StrictInfo,
            encoding="utf-8",
            errors="surrogateescape",
        )
        for _ in range(MOST_ENTRIES):
            member = archive.next()
            if member is None:
                return
            # TarFile remembers every member, which is a gigabyte for a large layer
            archive.members = []  # type: ignore[attr-defined]
            _require_one_meaning(archive, member)
            member.name = normal_path(member.name)
            yield member, archive.extractfile(member) if member.isreg() else None
        raise LayerError(f"a layer has more than {MOST_ENTRIES} entries")

    def _drain(self) -> None:
        for _ in self._source:
            pass


def normal_path(name: str) -> str:
    """Return the path of an entry without leading slash, dots and doubled slashes; the root is empty.

    :raises LayerError: it climbs out of the layer.
    """
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or "\0" in name:
        raise LayerError(f"a layer has the unsafe path {name!r}")
    return "/".join(parts)


def _require_one_meaning(archive: "_StrictTar", member: tarfile.TarInfo) -> None:
    """Return if every program reads the headers of ``member`` alike.

    :raises LayerError: Go's archive/tar reads them otherwise than tarfile, or may.
    """
    headers, kinds = member.pax_headers, list(archive.kinds)
    archive.kinds.clear()
    sparse = {name for name in headers if name.startswith("GNU.sparse.")}
    extended, name = kinds[:-1], repr(member.name)[:200]
    if archive.pax_headers.keys() - {"comment"}:
        reason = "a global header, which engines pass over"
    elif len(set(extended)) < len(extended) or (_LONG & set(extended) and tarfile.XHDTYPE in extended):
        reason = "several names"
    elif extended and kinds[-1] == tarfile.AREGTYPE:
        reason = "an old header behind an extended one"
    elif any(headers.get(field) == "" for field in _DECIDING):
        reason = "an empty extended header"
    elif "size" in headers and not member.isreg():
        reason = "a size, and no content"
    elif sparse and (sparse != _SPARSE or _sparse_version(headers) != ("1", "0")):
        reason = "headers of a sparse file in a form that is not in use"
    else:
        return
    raise LayerError(f"a layer has an entry that engines read in different ways: {name} has {reason}")


def _sparse_version(headers: Mapping[str, str]) -> tuple[str, str]:
    return headers["GNU.sparse.major"], headers["GNU.sparse.minor"]


class _StrictTar(tarfile.TarFile):
    """An archive that notes which headers an entry has."""

    def __init__(self, **options: Any) -> None:
        self.kinds: list[bytes] = []
        """Types of the headers of the entry being read, its own last."""
        super().__init__(**options)


class _StrictInfo(tarfile.TarInfo):
    """A header; what TarFile would take for the end of the archive is an error."""

    written_type: bytes
    """As it is in the header: an old file whose name ends in a slash becomes a folder."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            if isinstance(error, _HARMLESS):
                raise
            raise tarfile.ReadError(str(error)) from error

    def _proc_member(self, archive: _StrictTar) -> tarfile.TarInfo:
        """Read what belongs to this header; tarfile comes here for each, extended ones first."""
        archive.kinds.append(self.written_type)
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        return cls._checked(super().frombuf(buf, encoding, errors), buf)

    @classmethod
    def _frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str, **options: bool) -> Self:
        """Do the same where newer releases of Python read headers by this name, and never by the other."""
        found: Self = super()._frombuf(buf, encoding, errors, **options)  # type: ignore[misc]
        return cls._checked(found, buf)

    @classmethod
    def _checked(cls, header: Self, buf: bytes | bytearray) -> Self:
        if any(not buf[field][0] and buf[field].strip(b"\0 ") for field in _NUMBERS):
            raise LayerError("a layer has an entry that engines read in different ways: a number begins late")
        header.written_type = bytes(buf[156:157])
        is_longer = header.type not in tarfile.GNU_TYPES and buf[_PREFIX].strip(b"\0")
        if is_longer and (buf[_MAGIC] != _USTAR or buf[_TRAILER] == _STAR):
            raise LayerError(
                "a layer has an entry that engines read in different ways: its name may be longer"
            )
        largest = LARGEST_HEADER if header.type in _EXTENDED else LARGEST_ENTRY
        if not 0 <= header.size <= largest:
            raise LayerError(f"a layer has an entry of {header.size} bytes")
        return header
