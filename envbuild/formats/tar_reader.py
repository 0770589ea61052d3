"""The entries of one image layer, streamed: gzip, zstd or plain tar in, one entry at a time out.

Nothing is written to disk, and memory does not grow with the layer: one block, one header.  The compression
is told from the first bytes, as engines do, because media types sometimes say another.
"""

import contextlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Final, Self, cast

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
        archive = tarfile.TarFile(
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


class _StrictInfo(tarfile.TarInfo):
    """A header; what TarFile would take for the end of the archive is an error."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            if isinstance(error, _HARMLESS):
                raise
            raise tarfile.ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        largest = LARGEST_HEADER if header.type in _EXTENDED else LARGEST_ENTRY
        if not 0 <= header.size <= largest:
            raise LayerError(f"a layer has an entry of {header.size} bytes")
        return header
