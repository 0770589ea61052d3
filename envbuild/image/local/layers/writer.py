"""A layer being written: entries in, a compressed tar and its digests out."""

import hashlib
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import BinaryIO, Self

from envbuild.digest import CHUNK
from envbuild.formats import tar_writer as tar
from envbuild.formats.compression import Codec
from envbuild.formats.tar_writer import TarEntry
from envbuild.oci import layer_paths
from envbuild.oci.layer import Layer, media_type_of

FORMAT = 1
"""Goes up whenever the same entries come out as other bytes; golden digests hold it."""

MTIME = 315_619_200
"""Modification time of files that have none of their own: 1980-01-02.

Not per environment, or nothing would be shared; not 0, which some programs take for "unset" (jib issue
1079); a day after the oldest time a zip archive can hold, so that zipping files works in every time zone.
"""

_LARGE = CHUNK >> 3
"""Bytes from which a piece is hashed and compressed by itself: smaller ones are gathered."""

_WHITEOUT, _OPAQUE = layer_paths.WHITEOUT.encode(), layer_paths.OPAQUE.encode()


class EntryOrderError(Exception):
    """Entries did not come in the order of their names: a fault of the program, not of its input."""


class LayerWriter:
    """Writes one layer to a file.

    Names are paths relative to the root of the image.  They must come sorted by their bytes, each once; a
    folder sorts before what is in it.  A whiteout sorts by the name it is written under, ``.wh.`` and all.
    Give no entry for a folder that is a link in the layers below: it would replace the link.

    Used as a context manager; when the block raises, what was written is of no use.
    """

    def __init__(self, file: BinaryIO, codec: Codec, *, comment: str) -> None:
        self._file = file
        self._codec = codec
        self._comment = comment
        self._compressor = codec.compressor()
        self._tar = hashlib.sha256()
        self._compressed = hashlib.sha256()
        self._pending = bytearray()
        self._unpacked = 0
        self._size = 0
        self._last: bytes | None = None
        self._files: set[bytes] = set()
        self._layer: Layer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()

    @property
    def layer(self) -> Layer:
        """What was written.  :raises RuntimeError: the block has not ended well."""
        if self._layer is None:
            raise RuntimeError("the layer is not finished")
        return self._layer

    def add_directory(
        self,
        name: str | bytes,
        *,
        mode: int = 0o755,
        uid: int = 0,
        gid: int = 0,
        mtime: int = MTIME,
        xattrs: Mapping[str, bytes] | None = None,
    ) -> None:
        """Add a folder."""
        self._add(tar.FOLDER, name, mode=mode, uid=uid, gid=gid, mtime=mtime, xattrs=xattrs)

    def add_file(
        self,
        name: str | bytes,
        size: int,
        chunks: Iterable[bytes],
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        mtime: int = MTIME,
        xattrs: Mapping[str, bytes] | None = None,
    ) -> None:
        """Add a file of ``size`` bytes.  :raises ValueError: the chunks are more or fewer bytes than that."""
        written = self._add(
            tar.FILE, name, size=size, mode=mode, uid=uid, gid=gid, mtime=mtime, xattrs=xattrs
        )
        left = size
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            self._write(chunk)
        if left:
            raise ValueError(f"{written.decode(errors='replace')} is not of the {size} bytes it should have")
        self._write(tar.padding(size))
        self._files.add(written)

    def add_symlink(
        self, name: str | bytes, target: str | bytes, *, uid: int = 0, gid: int = 0, mtime: int = MTIME
    ) -> None:
        """Add a symbolic link."""
        self._add(tar.SYMLINK, name, mode=0o777, uid=uid, gid=gid, mtime=mtime, target=target)

    def add_hardlink(
        self,
        name: str | bytes,
        target: str | bytes,
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        mtime: int = MTIME,
    ) -> None:
        """Add a further name of a file that was added before (image-spec: only within one layer)."""
        if _encoded(target) not in self._files:
            raise EntryOrderError(f"{target!r} is linked to, but no file of this layer before")
        self._add(tar.HARDLINK, name, mode=mode, uid=uid, gid=gid, mtime=mtime, target=target)

    def add_device(
        self,
        name: str | bytes,
        device: tuple[int, int],
        *,
        block: bool = False,
        mode: int = 0o600,
        uid: int = 0,
        gid: int = 0,
        mtime: int = MTIME,
    ) -> None:
        """Add a device; ``device`` is its major and minor number."""
        kind = tar.BLOCK_DEVICE if block else tar.CHARACTER
        self._add(kind, name, mode=mode, uid=uid, gid=gid, mtime=mtime, device=device)

    def add_fifo(
        self, name: str | bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0, mtime: int = MTIME
    ) -> None:
        """Add a named pipe."""
        self._add(tar.FIFO, name, mode=mode, uid=uid, gid=gid, mtime=mtime)

    def add_whiteout(self, name: str | bytes, *, mtime: int = MTIME) -> None:
        """Remove what the layers below have at ``name``."""
        self._add(tar.FILE, whiteout_name(name), mtime=mtime, marker=True)

    def add_opaque(self, name: str | bytes, *, mtime: int = MTIME) -> None:
        """Hide all that the layers below have in the folder ``name``."""
        folder = _encoded(name)
        self._add(tar.FILE, folder + b"/" + _OPAQUE if folder else _OPAQUE, mtime=mtime, marker=True)

    def _add(
        self,
        kind: bytes,
        name: str | bytes,
        *,
        size: int = 0,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        mtime: int,
        target: str | bytes = b"",
        device: tuple[int, int] = (0, 0),
        xattrs: Mapping[str, bytes] | None = None,
        marker: bool = False,
    ) -> bytes:
        path = _encoded(name)
        _check_name(path, marker=marker)
        if self._last is not None and path <= self._last:
            raise EntryOrderError(f"{path!r} comes after {self._last!r}")
        self._last = path
        self._write(
            tar.header(
                TarEntry(
                    name=path,
                    kind=kind,
                    size=size,
                    mode=mode,
                    uid=uid,
                    gid=gid,
                    mtime=mtime,
                    target=_encoded(target),
                    device=device,
                    xattrs=xattrs or {},
                )
            )
        )
        return path

    def _write(self, data: bytes) -> None:
        if len(data) >= _LARGE:
            # goes on without being copied
            self._drain()
            self._put(data)
            return
        self._pending += data
        if len(self._pending) >= CHUNK:
            self._drain()

    def _drain(self) -> None:
        if self._pending:
            self._put(bytes(self._pending))
            self._pending.clear()

    def _put(self, data: bytes) -> None:
        self._unpacked += len(data)
        self._tar.update(data)
        self._emit(self._compressor.compress(data))

    def _emit(self, data: bytes) -> None:
        if data:
            self._compressed.update(data)
            self._size += len(data)
            self._file.write(data)

    def _finish(self) -> None:
        self._write(tar.END)
        self._drain()
        self._emit(self._compressor.flush())
        self._file.flush()
        self._layer = Layer(
            diff_id=f"sha256:{self._tar.hexdigest()}",
            digest=f"sha256:{self._compressed.hexdigest()}",
            size=self._size,
            unpacked=self._unpacked,
            media_type=media_type_of(self._codec.name),
            comment=self._comment,
        )


def whiteout_name(name: str | bytes) -> bytes:
    """Return the name of the entry that removes ``name`` (image-spec, layer.md, "Whiteouts")."""
    folder, slash, last = _encoded(name).rpartition(b"/")
    return folder + slash + _WHITEOUT + last


def _encoded(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode(errors="surrogateescape")


def _check_name(path: bytes, *, marker: bool) -> None:
    parts = path.split(b"/")
    if b"\0" in path or any(part in {b"", b".", b".."} for part in parts):
        raise ValueError(f"{path!r} cannot be the name of an entry")
    if not marker and parts[-1].startswith(_WHITEOUT):
        raise ValueError(f"{path!r} would remove a file instead of being one")
