"""Layers with any entry that a tar can hold, made in memory, and their listings."""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from envbuild.oci.layer_listing import LayerListing, list_layer

KINDS = {
    "f": tarfile.REGTYPE,
    "l": tarfile.SYMTYPE,
    "h": tarfile.LNKTYPE,
    "d": tarfile.DIRTYPE,
    "c": tarfile.CHRTYPE,
    "b": tarfile.BLKTYPE,
    "p": tarfile.FIFOTYPE,
}

MODES = {"f": 0o644, "d": 0o755, "l": 0o777}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a layer."""

    name: str
    kind: str = "f"
    content: bytes = b""
    link: str = ""
    mode: int | None = None
    owner: tuple[int, int] = (0, 0)
    device: tuple[int, int] = (0, 0)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Extended headers."""


def file(name: str, content: bytes | str = b"", **fields: object) -> Entry:
    data = content.encode() if isinstance(content, str) else content
    return Entry(name=name, content=data, **fields)  # type: ignore[arg-type]


def folder(name: str, **fields: object) -> Entry:
    return Entry(name=name, kind="d", **fields)  # type: ignore[arg-type]


def link(name: str, target: str, **fields: object) -> Entry:
    return Entry(name=name, kind="l", link=target, **fields)  # type: ignore[arg-type]


def hard_link(name: str, target: str, **fields: object) -> Entry:
    return Entry(name=name, kind="h", link=target, **fields)  # type: ignore[arg-type]


def removal(path: str) -> Entry:
    parent, _, name = path.rpartition("/")
    return file(f"{parent}/.wh.{name}".lstrip("/"))


def emptying(path: str) -> Entry:
    return file(f"{path}/.wh..wh..opq".lstrip("/"))


def layer(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return the uncompressed archive of ``entries``."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, errors="surrogateescape") as archive:
        for item in entries:
            info = tarfile.TarInfo(item.name)
            info.type = KINDS.get(item.kind, item.kind.encode())
            info.mode = MODES.get(item.kind, 0o644) if item.mode is None else item.mode
            info.uid, info.gid = item.owner
            info.devmajor, info.devminor = item.device
            info.linkname = item.link
            info.size = len(item.content)
            info.pax_headers = dict(item.headers)
            archive.addfile(info, io.BytesIO(item.content))
    return stream.getvalue()


def listing(*entries: Entry) -> LayerListing:
    """Return what a layer of ``entries`` holds, as the real code lists it."""
    return list_layer(in_pieces(layer(*entries)))


def in_pieces(data: bytes, size: int = 700) -> Iterator[bytes]:
    """Yield ``data`` in pieces that end in the middle of blocks."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
