"""Layers made by hand, and images of them in memory."""

import gzip
import hashlib
import io
import math
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import zstandard

from envbuild.resolve.base.image_files import ImageFiles
from envbuild.resolve.base.layer_scan import LayerScan, scan_layer

ELF = b"\x7fELF" + bytes(60)


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a layer."""

    kind: str
    path: str
    content: bytes = b""
    """Or where a link points, as bytes."""
    mtime: float = 1_700_000_000


def folder(path: str) -> Item:
    return Item("d", path)


def file(path: str, content: bytes | str = b"") -> Item:
    return Item("f", path, content.encode() if isinstance(content, str) else content)


def link(path: str, target: str) -> Item:
    return Item("s", path, target.encode())


def hard_link(path: str, target: str) -> Item:
    return Item("h", path, target.encode())


def removed(path: str) -> Item:
    parent, _, name = path.rpartition("/")
    return Item("f", f"{parent}/.wh.{name}".lstrip("/"))


def emptied(path: str) -> Item:
    return Item("f", f"{path}/.wh..wh..opq".lstrip("/"))


TYPES = {
    "d": tarfile.DIRTYPE,
    "f": tarfile.REGTYPE,
    "s": tarfile.SYMTYPE,
    "h": tarfile.LNKTYPE,
    "o": tarfile.CHRTYPE,
}


def tar_of(*items: Item, form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for item in items:
            entry = tarfile.TarInfo(item.path)
            entry.type = TYPES[item.kind]
            if math.isfinite(item.mtime):
                entry.mtime = item.mtime
            else:
                entry.pax_headers = {"mtime": str(item.mtime)}
            if item.kind in "sh":
                entry.linkname = item.content.decode()
            entry.size = len(item.content) if item.kind == "f" else 0
            archive.addfile(entry, io.BytesIO(item.content) if item.kind == "f" else None)
    return stream.getvalue()


def layer_of(*items: Item) -> bytes:
    return gzip.compress(tar_of(*items), 1, mtime=0)


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def in_chunks(data: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def scan_of(layer: bytes, also: frozenset[str] = frozenset()) -> LayerScan:
    return scan_layer(in_chunks(layer), digest=f"sha256:{hashlib.sha256(layer).hexdigest()}", also=also)


class Image:
    """The files of an image whose layers are in memory."""

    def __init__(self, *layers: Sequence[Item]) -> None:
        self.layers = [layer_of(*items) for items in layers]
        self.read_again: list[tuple[int, set[str]]] = []
        self.files = ImageFiles([scan_of(layer) for layer in self.layers], read_again=self._again)

    def _again(self, number: int, also: frozenset[str]) -> LayerScan:
        self.read_again.append((number, set(also)))
        return scan_of(self.layers[number], also)


def texts(image: Image, *paths: str) -> Mapping[str, str | None]:
    return {path: image.files.text(path) for path in paths}
