"""The file system of an image as one digest, whatever engine, layers or times made it.

Form ``fsdigest v1``: one JSON line a path, sorted by bytes: type, mode, owner, sha256 or link target, and
what a program may do (security.capability); no times.  What the engine mounts into every container, and
ldconfig's cache of directory times, are left out.  Written without envbuild's own code, which it is to judge.
"""

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, cast

import docker
import zstandard

LEFT_OUT = frozenset(
    {".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "var/cache/ldconfig/aux-cache"}
)
MOUNTS = ("dev", "proc", "sys")

Record = tuple[str, int, int, int, str, str]
"""Kind, mode (0 for links), uid, gid, digest or link target, capability in hexadecimal."""

Tree = dict[str, Record]


def tree_of_image(docker_host: str, reference: str) -> Tree:
    """Return every path of an image that an engine holds."""
    client = docker.DockerClient(base_url=docker_host)
    try:
        container = client.containers.create(reference, command=["true"])
        try:
            chunks: Iterable[bytes] = container.export()  # type: ignore[assignment]
            exported = io.BytesIO(b"".join(chunks))
        finally:
            container.remove(force=True)
    finally:
        client.close()
    return tree_of_layers([exported])


def tree_of_layout(folder: Path) -> Tree:
    """Return every path of the only image in an OCI layout."""
    return tree_of_layers(open_layers(folder))


def open_layers(folder: Path) -> Iterator[IO[bytes]]:
    """Yield the tars of the only image in an OCI layout, bottom first (image-spec, image-layout.md)."""

    def read(digest: str) -> bytes:
        return (folder / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()

    index = json.loads((folder / "index.json").read_bytes())
    (manifest,) = index["manifests"]
    for layer in json.loads(read(manifest["digest"]))["layers"]:
        with _unpacked(read(layer["digest"])) as stream:
            yield stream


def tree_of_layers(layers: Iterable[IO[bytes]]) -> Tree:
    """Lay the tars of an image over each other, bottom first."""
    tree: Tree = {}
    for layer in layers:
        found: Tree = {}
        with tarfile.open(fileobj=layer, mode="r|") as archive:
            for entry in archive:
                _take(entry, archive, found, tree)
        for path, record in found.items():
            if record[0] != "dir":
                # a file in the place of a folder hides what was in it
                _remove_below(tree, path)
        tree |= found
    return {path: record for path, record in tree.items() if not _is_left_out(path)}


def digest_of_tree(tree: Mapping[str, Record]) -> str:
    """Return the digest of a tree."""
    state = hashlib.sha256()
    for path in sorted(tree, key=str.encode):
        state.update(json.dumps([path, tree[path]], separators=(",", ":")).encode() + b"\n")
    return state.hexdigest()


def differences(one: Mapping[str, Record], other: Mapping[str, Record]) -> dict[str, tuple[object, object]]:
    """Return the paths whose records differ, with both records; None where there is no such path."""
    paths = sorted(one.keys() | other.keys())
    return {path: (one.get(path), other.get(path)) for path in paths if one.get(path) != other.get(path)}


def _take(entry: tarfile.TarInfo, archive: tarfile.TarFile, found: Tree, below: Tree) -> None:
    path = entry.name.removeprefix("./").rstrip("/")
    folder, _, name = path.rpartition("/")
    if name == ".wh..wh..opq":
        _remove_below(below, folder)
    elif name.startswith(".wh."):
        removed = f"{folder}/{name[4:]}" if folder else name[4:]
        below.pop(removed, None)
        _remove_below(below, removed)
    elif path and entry.islnk():
        found[path] = found[entry.linkname.removeprefix("./")]
    elif path:
        stream = archive.extractfile(entry) if entry.isreg() else None
        content = _digest(stream) if stream else entry.linkname
        kind = "file" if entry.isreg() else "dir" if entry.isdir() else "link" if entry.issym() else "other"
        capability = entry.pax_headers.get("SCHILY.xattr.security.capability", "")
        found[path] = (
            kind,
            0 if entry.issym() else entry.mode & 0o7777,
            entry.uid,
            entry.gid,
            content,
            capability.encode(errors="surrogateescape").hex(),
        )


def _digest(stream: IO[bytes]) -> str:
    state = hashlib.sha256()
    while block := stream.read(1 << 20):
        state.update(block)
    return state.hexdigest()


def _remove_below(tree: Tree, folder: str) -> None:
    for path in [path for path in tree if path.startswith(f"{folder}/")]:
        del tree[path]


def _is_left_out(path: str) -> bool:
    return path in LEFT_OUT or path.partition("/")[0] in MOUNTS


@contextlib.contextmanager
def _unpacked(data: bytes) -> Iterator[IO[bytes]]:
    if data.startswith(b"\x1f\x8b"):
        with gzip.open(io.BytesIO(data)) as packed:
            yield cast("IO[bytes]", packed)
    elif data.startswith(b"\x28\xb5\x2f\xfd"):
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as stream:
            yield stream
    else:
        yield io.BytesIO(data)
