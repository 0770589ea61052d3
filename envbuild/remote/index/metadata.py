"""METADATA of a wheel without fetching the wheel: beside it (PEP 658), or from the end of its zip."""

import contextlib
import hashlib
import io
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

import requests
from packaging.utils import canonicalize_name

from envbuild.digest import CHUNK
from envbuild.errors import IntegrityError, NotFoundError
from envbuild.files.atomic import write_bytes
from envbuild.files.last_use import note_use
from envbuild.formats.core_metadata import WheelMetadata, headers_of, parse_metadata
from envbuild.formats.wheel_archive import LARGEST_DIST_INFO, WheelArchive
from envbuild.remote.http import bounded_body, without_credentials
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.page import IndexFile

TAIL: Final = 1 << 16
"""Bytes asked for at once: the end of nearly every wheel holds its central directory and its dist-info."""

LARGEST_PART: Final = 64 << 20
"""Bytes of a remote wheel that are fetched at a time: the directory of a zip, which is read at once, has some
100 for each file."""

_AS_STORED = {"Accept-Encoding": "identity"}


class MetadataReader:
    """Reads METADATA over the network, and remembers it by the wheel's sha256.

    Safe to use from several threads and by several processes at once.
    """

    def __init__(self, index: PythonIndex, folder: Path) -> None:
        """Keep what was read in ``folder``."""
        self._index = index
        self._folder = folder

    def read(self, project: str, file: IndexFile, index: str) -> WheelMetadata:
        """Return the metadata of ``file``, whose hash must be known.

        :raises IntegrityError: what the index serves is no wheel, or contradicts the index's own hash.
        :raises NetworkError: it cannot be read.
        """
        path = self._path(file)
        with contextlib.suppress(OSError):
            with path.open("rb") as stream:
                kept = stream.read(LARGEST_DIST_INFO + 1)
            # what is larger was not kept by envbuild: the index is asked again
            if len(kept) <= LARGEST_DIST_INFO:
                known = parse_metadata(kept)
                note_use(path)
                return known
        raw = self._fetch(project, file, index)
        self._keep(path, raw)
        return parse_metadata(raw)

    def read_downloaded(self, project: str, file: IndexFile, path: Path) -> WheelMetadata:
        """Return the metadata of a wheel that had to be fetched whole anyway."""
        with path.open("rb") as stream:
            raw = _metadata_of_zip(project, file.filename, stream)
        self._keep(self._path(file), raw)
        return parse_metadata(raw)

    def _path(self, file: IndexFile) -> Path:
        if file.sha256 is None:
            raise ValueError(f"the hash of {file.filename} must be known before its metadata is read")
        return self._folder / file.sha256[:2] / file.sha256

    def _keep(self, path: Path, raw: bytes) -> None:
        # a cache that cannot be written only costs time
        with contextlib.suppress(OSError):
            write_bytes(path, headers_of(raw))

    def _fetch(self, project: str, file: IndexFile, index: str) -> bytes:
        if file.has_metadata:
            # some mirrors pass the promise on without the files
            with contextlib.suppress(NotFoundError):
                return self._fetch_beside(file, index)
        return self._fetch_from_zip(project, file, index)

    def _fetch_beside(self, file: IndexFile, index: str) -> bytes:
        with self._index.open(f"{file.url}.metadata", index=index) as response:
            raw = _bounded(response, LARGEST_DIST_INFO)
        if file.metadata_sha256 not in {None, hashlib.sha256(raw).hexdigest()}:
            raise IntegrityError(
                f"the metadata file of `{file.filename}` does not have the sha256 its index states",
                hint="a mirror or proxy altered it; ask for it again, or use another mirror",
            )
        return raw

    def _fetch_from_zip(self, project: str, file: IndexFile, index: str) -> bytes:
        wanted = f"bytes=-{TAIL}"
        if file.size is not None:
            # not every server understands a range that counts from the end
            wanted = f"bytes={max(0, file.size - TAIL)}-{file.size - 1}"
        with self._index.open(file.url, index=index, headers=_AS_STORED | {"Range": wanted}) as response:
            span = _content_range(response)
            if span is None:
                with _whole(response) as stream:
                    return _metadata_of_zip(project, file.filename, stream)
            start, size = span
            tail = _bounded(response, LARGEST_PART)
        source = IndexRanges(self._index, file.url, index)
        return _metadata_of_zip(project, file.filename, RangeStream(source, size, start, tail))


class Ranges(Protocol):
    """Where parts of a remote file come from."""

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes ``[start, end)``."""


@dataclass(frozen=True, slots=True)
class IndexRanges:
    """Parts of a file of an index."""

    index: PythonIndex
    url: str
    name: str
    """Of the index."""

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes ``[start, end)``.  :raises IntegrityError: the server sends the whole instead."""
        headers = _AS_STORED | {"Range": f"bytes={start}-{end - 1}"}
        with self.index.open(self.url, index=self.name, headers=headers) as response:
            if _content_range(response) is None:
                raise IntegrityError(f"the server of {self.url} stopped answering ranges")
            return _bounded(response, LARGEST_PART)


class RangeStream(io.RawIOBase):
    """A read-only view of a remote file of which the end is at hand; other parts are fetched when read."""

    def __init__(self, source: Ranges, size: int, start: int, tail: bytes) -> None:
        """Begin with ``tail``, the bytes from ``start`` to the end of ``size``."""
        super().__init__()
        self._source = source
        self._size = size
        self._parts = [(start, tail)]
        self._position = 0

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to ``offset``, counted as ``whence`` says, and return the new position."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, or all that is left when it is negative.

        :raises zipfile.BadZipFile: they are more than are fetched at a time.
        """
        start = min(self._position, self._size)
        end = self._size if size < 0 else min(self._size, start + size)
        data = self._at_hand(start, end)
        if data is None:
            if end - start > LARGEST_PART:
                raise zipfile.BadZipFile(f"its directory claims to have {end - start} bytes")
            # more than asked for: entries are read in small pieces
            stop = min(self._size, max(end, start + TAIL))
            self._parts.append((start, self._source.read(start, stop)))
            data = self._at_hand(start, end) or b""
        self._position += len(data)
        return data

    def _at_hand(self, start: int, end: int) -> bytes | None:
        for first, part in self._parts:
            if first <= start and end <= first + len(part):
                return part[start - first : end - first]
        return None


def _content_range(response: requests.Response) -> tuple[int, int] | None:
    """Return (first byte, size of the whole) of a partial answer, or None when the whole file comes."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", "").strip())
    if response.status_code != requests.codes.partial_content or match is None:
        return None
    return int(match[1]), int(match[2])


def _bounded(response: requests.Response, limit: int) -> bytes:
    """Return the body of an answer.

    :raises IntegrityError: it is longer than ``limit``.
    """
    body = bounded_body(response, limit)
    if body is None:
        raise IntegrityError(
            f"{without_credentials(response.url)} has more than {limit} bytes, more than it can need",
            hint="a mirror or proxy may have answered for the index; ask another mirror",
        )
    return body


@contextlib.contextmanager
def _whole(response: requests.Response) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(max_size=4 * CHUNK) as stream:
        for chunk in response.iter_content(CHUNK):
            stream.write(chunk)
        stream.seek(0)
        yield stream


def _metadata_of_zip(project: str, filename: str, stream: IO[bytes] | RangeStream) -> bytes:
    try:
        with WheelArchive(stream) as wheel:
            names = [name for name in wheel.namelist() if _is_metadata(name, project)]
            if len(names) == 1:
                return wheel.read(names[0])
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
        raise IntegrityError(
            f"`{filename}` is not a valid wheel on its index",
            hint="a mirror or proxy may have cut it short; ask another mirror",
            detail=str(error) or None,
        ) from error
    raise IntegrityError(f"`{filename}` does not hold one METADATA of `{project}`, as a wheel must")


def _is_metadata(name: str, project: str) -> bool:
    folder, _, rest = name.partition("/")
    owner = folder.removesuffix(".dist-info")
    return rest == "METADATA" and owner != folder and canonicalize_name(owner.rpartition("-")[0]) == project
