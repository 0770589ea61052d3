"""How layers are compressed and decompressed.  Compressed bytes are part of an image's identity.

Compressed bytes depend on the library that makes them, so the library is pinned, and its version is in the
codec's identity, which every cache key holds.  docs/adr/0020-codecs-of-layers.md says why these two.
"""

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final, Literal, Protocol, cast

import zstandard
from zlib_ng import zlib_ng

Compression = Literal["zstd", "gzip"]

BLOCK: Final = 1 << 18
"""Bytes of a layer decompressed at a time."""

LARGEST_WINDOW: Final = 1 << 27
"""Bytes a zstd stream may ask to be remembered: the most a compressor writes without being told to."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_GZIP_WBITS: Final = 31

_PIECE = 1 << 18
"""Bytes handed to zlib-ng at a time; a change of it changes the bytes that come out."""


class Compressor(Protocol):
    """A stream being compressed."""

    def compress(self, data: bytes, /) -> bytes:
        """Take the next bytes; return what is ready."""

    def flush(self) -> bytes:
        """Return the rest.  Called once."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A compression format, its level and the library that does it."""

    name: Compression
    level: int
    library: str
    """Name and version: ``libzstd 1.5.7``."""

    @property
    def identity(self) -> str:
        """What must be the same for the same bytes to come out."""
        return f"{self.name} -{self.level} by {self.library}"

    def compressor(self) -> Compressor:
        """Return a new stream.  What comes out does not depend on how the input is cut."""
        if self.name == "zstd":
            # the size is not known beforehand, and every layer has a digest: neither belongs in the frame
            frame = zstandard.ZstdCompressor(level=self.level, write_content_size=False, write_checksum=False)
            return cast("Compressor", frame.compressobj())
        # 16 asks for a gzip header, into which no name and no time is written
        return _Even(zlib_ng.compressobj(self.level, zlib_ng.DEFLATED, 16 + zlib_ng.MAX_WBITS))


class _Even:
    """Cuts the input into pieces of one size: what zlib-ng writes depends on how it is fed."""

    def __init__(self, compressor: Compressor) -> None:
        self._compressor = compressor
        self._pending = bytearray()

    def compress(self, data: bytes, /) -> bytes:
        self._pending += data
        whole = len(self._pending) // _PIECE * _PIECE
        ready = bytes(self._pending[:whole])
        del self._pending[:whole]
        return b"".join(
            self._compressor.compress(ready[start : start + _PIECE]) for start in range(0, whole, _PIECE)
        )

    def flush(self) -> bytes:
        return self._compressor.compress(bytes(self._pending)) + self._compressor.flush()


def codec_of(name: Compression) -> Codec:
    """Return the codec layers of this format are written with."""
    if name == "zstd":
        return Codec("zstd", 3, f"libzstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}")
    return Codec("gzip", 6, f"zlib-ng {zlib_ng.ZLIBNG_RUNTIME_VERSION}")


class ForwardStream:
    """A file that can be read and skipped through, but never goes back."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = b""
        self._at = 0
        self._position = 0

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes; fewer at the end."""
        end = self._at + size
        if end <= len(self._block):
            found = self._block[self._at : end]
            self._at = end
            self._position += size
            return found
        parts = []
        while size > 0 and self._fill():
            part = self._block[self._at : self._at + size]
            parts.append(part)
            self._at += len(part)
            self._position += len(part)
            size -= len(part)
        return b"".join(parts)

    def tell(self) -> int:
        """Return how many bytes were read or skipped."""
        return self._position

    def seek(self, position: int) -> int:
        """Skip to ``position``.  :raises tarfile.ReadError: it lies behind."""
        if position < self._position:
            raise tarfile.ReadError("an entry points back")
        while self._position < position and self._fill():
            step = min(position - self._position, len(self._block) - self._at)
            self._at += step
            self._position += step
        return self._position

    def is_at_end(self) -> bool:
        """Return whether nothing is left."""
        return not self._fill()

    def _fill(self) -> bool:
        """Make sure there is something to read; return False at the end."""
        while self._at == len(self._block):
            block = next(self._blocks, None)
            if block is None:
                return False
            self._block, self._at = block, 0
        return True


def unpacked(source: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the archive in a layer's bytes: gzip, zstd or neither, told from the first of them."""
    first = b""
    while len(first) < len(_ZSTD):
        chunk = next(source, None)
        if chunk is None:
            break
        first += chunk
    rest = _chain(first, source)
    if first.startswith(_GZIP):
        return _gunzip(rest)
    if first.startswith(_ZSTD) or first[1:4] == _ZSTD_SKIPPABLE:
        return _unzstd(rest)
    return rest


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    # not `yield from`: whoever stops reading here must not close what others go on with
    for block in rest:  # noqa: UP028
        yield block


def _gunzip(source: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip members laid end to end (RFC 1952), as parallel and seekable compressors write them."""
    member = zlib.decompressobj(_GZIP_WBITS)
    for chunk in source:
        packed = chunk
        while packed:
            if member.eof:
                packed = packed.lstrip(b"\0")
                if not packed:
                    break
                member = zlib.decompressobj(_GZIP_WBITS)
            yield member.decompress(packed, BLOCK)
            packed = member.unused_data if member.eof else member.unconsumed_tail
    while not member.eof:
        block = member.decompress(b"", BLOCK)
        if not block:
            raise EOFError("the gzip stream ends early")
        yield block


def _unzstd(source: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
    with unpacker.stream_reader(
        cast("IO[bytes]", ForwardStream(source)), read_size=BLOCK, read_across_frames=True
    ) as reader:
        while block := reader.read(BLOCK):
            yield block
