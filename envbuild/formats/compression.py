"""How layers are compressed.  The bytes that come out are part of an image's identity.

Compressed bytes depend on the library that makes them, so the library is pinned, and its version is in the
codec's identity, which every cache key holds.  docs/adr/0020-codecs-of-layers.md says why these two.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, cast

import zstandard
from zlib_ng import zlib_ng

Compression = Literal["zstd", "gzip"]

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
