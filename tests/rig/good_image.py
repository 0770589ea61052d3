"""An image that nobody touched, read from an OCI layout: its documents, and what its layers amount to.

Written without envbuild's own code, which is to judge what is made of it.
"""

import copy
import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import zstandard

XATTR = "SCHILY.xattr."


@dataclass(frozen=True, slots=True)
class Node:
    """One path of an image."""

    info: tarfile.TarInfo
    content: "Content | None" = None
    """Of a file."""

    @property
    def record(self) -> tuple[object, ...]:
        """Everything there is to say of it but times and bytes."""
        info = self.info
        xattrs = {key: value for key, value in info.pax_headers.items() if key.startswith(XATTR)}
        device = (info.devmajor, info.devminor) if info.isdev() and not info.isfifo() else ()
        # a hard link was followed: `content` says what the file holds
        kind = b"0" if self.content else info.type
        mode = 0 if info.issym() else info.mode & 0o7777
        return kind, mode, info.uid, info.gid, info.linkname if info.issym() else "", device, xattrs


@dataclass(frozen=True, slots=True)
class Content:
    """Where the bytes of a file lie."""

    tar: bytes = field(repr=False)
    offset: int
    size: int

    def read(self) -> bytes:
        return self.tar[self.offset : self.offset + self.size]


Nodes = dict[str, Node]


def laid_over(nodes: Mapping[str, Node], layers: Iterable[bytes]) -> Nodes:
    """Lay tars over ``nodes``, as image-spec's layer.md has it; the last entry of a path counts."""
    merged = dict(nodes)
    for data in layers:
        found: Nodes = {}
        for info in _entries(data):
            path = _normal(info.name)
            folder, _, name = path.rpartition("/")
            if name == ".wh..wh..opq":
                _remove_below(merged, folder)
            elif name.startswith(".wh."):
                removed = f"{folder}/{name[4:]}".lstrip("/")
                merged.pop(removed, None)
                _remove_below(merged, removed)
            elif info.islnk():
                target = _normal(info.linkname)
                found[path] = found.get(target) or merged[target]
            else:
                content = Content(data, info.offset_data, info.size) if info.isreg() else None
                found[path] = Node(info, content)
        for path, node in found.items():
            if not node.info.isdir() and path in merged and merged[path].info.isdir():
                _remove_below(merged, path)
        merged |= found
    return merged


class GoodImage:
    """The only image of an OCI layout."""

    def __init__(self, layout: Path, *, answers: Mapping[str, bytes] | None = None) -> None:
        """Read the layout; ``answers`` are what the image's probe said, by its arguments."""
        self.layout = layout
        self.answers = dict(answers or {})
        (self.entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
        self.manifest: dict[str, Any] = json.loads(self.blob(self.entry["digest"]))
        self.config_data = self.blob(self.manifest["config"]["digest"])

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, to be changed at will."""
        document: dict[str, Any] = json.loads(self.config_data)
        return document

    @cached_property
    def tars(self) -> tuple[bytes, ...]:
        """The layers, bottom first."""
        return tuple(_unpacked(self.blob(layer["digest"])) for layer in self.manifest["layers"])

    @cached_property
    def nodes(self) -> Nodes:
        """Every path."""
        return laid_over({}, self.tars)

    def blob(self, digest: str) -> bytes:
        return (self.layout / "blobs" / digest.replace(":", "/")).read_bytes()

    def read(self, path: str) -> bytes:
        """Return the bytes of a file."""
        content = self.nodes[path].content
        if content is None:
            raise KeyError(f"{path} is no file")
        return content.read()

    def text(self, path: str) -> str:
        return self.read(path).decode()

    def info(self, path: str) -> tarfile.TarInfo:
        """Return a copy of a path's entry, with none of what its layer adds for itself."""
        info = copy.copy(self.nodes[path].info)
        info.name = path
        info.pax_headers = {key: value for key, value in info.pax_headers.items() if key.startswith(XATTR)}
        content = self.nodes[path].content
        if content is not None:
            info.type, info.linkname, info.size = tarfile.REGTYPE, "", content.size
        return info

    def find(self, pattern: str) -> str:
        """Return the first path that matches a pattern of `PurePath.match`."""
        return next(path for path in sorted(self.nodes) if Path(path).match(pattern))


def _entries(data: bytes) -> Iterable[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        yield from archive


def _normal(name: str) -> str:
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _remove_below(nodes: Nodes, folder: str) -> None:
    for path in [path for path in nodes if path.startswith(f"{folder}/") or not folder]:
        del nodes[path]


def _unpacked(data: bytes) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as stream:
            unpacked: bytes = stream.read()
            return unpacked
    return data
