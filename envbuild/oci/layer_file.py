"""One file of an image, read from its layers (image-spec, layer.md)."""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from envbuild.errors import EngineError
from envbuild.formats.tar_reader import LayerArchive, normal_path
from envbuild.oci.layer_paths import OPAQUE, WHITEOUT


def read_layer_file(
    layers: Sequence[Callable[[], Iterator[bytes]]], path: str, *, limit: int
) -> bytes | None:
    """Return the content of the regular file at ``path``, or None when the image has none there.

    ``layers`` give the bytes of each layer, bottom first.  The topmost layer that has the path decides; no
    link is followed.

    :raises EngineError: the file has more than ``limit`` bytes.
    :raises LayerError: a layer is no archive.
    """
    wanted = normal_path(path)
    for chunks in reversed(layers):
        content, decides = _read_from(chunks(), wanted, limit)
        if decides:
            return content
    return None


def _read_from(chunks: Iterator[bytes], wanted: str, limit: int) -> tuple[bytes | None, bool]:
    """Return what one layer has at ``wanted``, and whether the layers below it do not count."""
    removed_by = _whiteouts_of(wanted)
    content, decides = None, False
    parents = {str(parent) for parent in PurePosixPath(wanted).parents}
    archive = LayerArchive(chunks)
    with archive.whole():
        for entry, stream in archive.entries():
            if entry.name == wanted:
                if entry.size > limit:
                    raise EngineError(f"/{wanted} has more than {limit} bytes")
                content, decides = stream.read() if stream else None, True
            elif entry.name in removed_by or (entry.name in parents and not entry.isdir()):
                decides = True
    return content, decides


def _whiteouts_of(path: str) -> frozenset[str]:
    """Return the entries of a layer that hide ``path`` in the layers below."""
    found = set()
    while path:
        folder, name = posixpath.split(path)
        found.add(posixpath.join(folder, f"{WHITEOUT}{name}"))
        found.add(posixpath.join(folder, OPAQUE))
        path = folder
    return frozenset(found)
