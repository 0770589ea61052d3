"""What differs between two images that should be one: which layer, which file in it, which field of that."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

from envbuild.digest import CHUNK
from envbuild.formats.tar_reader import LayerArchive
from envbuild.oci.image import OciImage

Chunks = Iterable[bytes]

_FIELDS: Final = ("kind", "mode", "uid", "gid", "time", "size", "target", "attributes", "content")
_ABSENT: Final = "absent"
_MOST: Final = 20
"""Differences shown of one layer: a layer that is wrong altogether says so in a few lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same."""

    layer: str
    """What the layer holds, or which document it is."""

    path: str
    """File in the layer, or field of the document; empty when it is the layer as a whole."""

    field: str
    one: str
    other: str

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.layer, self.path) if part)
        return f"{where}: {self.field}: {self.one} / {self.other}"


@dataclass(frozen=True, slots=True)
class _FileHeader:
    kind: str
    mode: str
    uid: str
    gid: str
    time: str
    size: str
    target: str
    attributes: str
    content: str


def compare_images(
    one: OciImage,
    other: OciImage,
    *,
    read_one: Callable[[int], Chunks],
    read_other: Callable[[int], Chunks],
) -> tuple[Difference, ...]:
    """Return what differs, bottom layer first; nothing when the images are the same to the last bit.

    ``read_one`` and ``read_other`` give the bytes of the layer at a position, compressed as they are; asked
    for only where the layers differ.

    :raises LayerError: a layer is no readable archive.
    """
    if one.descriptor.digest == other.descriptor.digest:
        return ()
    found: list[Difference] = []
    names = layer_names(one) if len(one.layers) >= len(other.layers) else layer_names(other)
    for position, name in enumerate(names):
        if position >= min(len(one.layers), len(other.layers)):
            found.append(_missing(name, in_one=position < len(one.layers)))
        elif one.diff_ids[position] != other.diff_ids[position]:
            found += compare_layers(name, read_one(position), read_other(position))
        elif one.layers[position].digest != other.layers[position].digest:
            digests = [image.layers[position].digest[:19] for image in (one, other)]
            found.append(
                Difference(
                    layer=name,
                    path="",
                    field="compressed bytes of the same files",
                    one=digests[0],
                    other=digests[1],
                )
            )
    found += _compare_documents("configuration", one.config, other.config)
    if not found:
        found += _compare_documents("manifest", one.manifest, other.manifest)
    return tuple(found)


def layer_names(image: OciImage) -> tuple[str, ...]:
    """Return what the image's history says of each layer, bottom first."""
    history = [entry for entry in image.document.get("history") or () if not entry.get("empty_layer")]
    named = [str(entry.get("created_by") or "") for entry in history]
    return tuple(
        f"layer {number}{f' ({name[:80]})' if name else ''}"
        for number, (_, name) in enumerate(zip_longest(image.layers, named[: len(image.layers)]), start=1)
    )


def compare_layers(name: str, one: Chunks, other: Chunks) -> Iterator[Difference]:
    """Yield what differs between the entries of two layers, by path; few of many.

    :raises LayerError: one is no readable archive.
    """
    left, right = _entries(one), _entries(other)
    shown = 0
    for path in sorted(left.keys() | right.keys()):
        for field, first, second in _fields(left.get(path), right.get(path)):
            shown += 1
            if shown > _MOST:
                yield Difference(layer=name, path="", field="further differences", one="…", other="…")
                return
            yield Difference(layer=name, path=path, field=field, one=first, other=second)
    if not shown and list(left) != list(right):
        path, first, second = next(
            (a, str(a), str(b)) for a, b in zip_longest(left, right, fillvalue=_ABSENT) if a != b
        )
        yield Difference(layer=name, path=path, field="order of entries", one=first, other=second)
    elif not shown:
        yield Difference(
            layer=name, path="", field="form of the archive", one="same entries", other="other bytes"
        )


def _missing(name: str, *, in_one: bool) -> Difference:
    one, other = ("present", _ABSENT) if in_one else (_ABSENT, "present")
    return Difference(layer=name, path="", field="layer", one=one, other=other)


def _entries(chunks: Chunks) -> dict[str, _FileHeader]:
    archive = LayerArchive(chunks)
    found: dict[str, _FileHeader] = {}
    with archive.whole():
        for entry, content in archive.entries():
            state = hashlib.sha256()
            while content is not None and (chunk := content.read(CHUNK)):
                state.update(chunk)
            extended = {key: value for key, value in entry.pax_headers.items() if key.startswith("SCHILY.")}
            found[entry.name] = _FileHeader(
                kind=entry.type.decode(errors="replace"),
                mode=f"{entry.mode:04o}",
                uid=f"{entry.uid} {entry.uname}".strip(),
                gid=f"{entry.gid} {entry.gname}".strip(),
                time=str(entry.mtime),
                size=str(entry.size),
                target=entry.linkname,
                attributes=json.dumps(extended, sort_keys=True) if extended else "",
                content=f"sha256:{state.hexdigest()[:12]}" if content is not None else "",
            )
    return found


def _fields(one: _FileHeader | None, other: _FileHeader | None) -> Iterator[tuple[str, str, str]]:
    if one is None or other is None:
        yield "file", _ABSENT if one is None else "present", _ABSENT if other is None else "present"
        return
    for field in _FIELDS:
        first, second = getattr(one, field), getattr(other, field)
        if first != second:
            yield field, first, second


def _compare_documents(name: str, one: bytes, other: bytes) -> Iterator[Difference]:
    """Yield the fields of two JSON documents that differ; digests follow from layers and are left out."""
    left, right = dict(_leaves(json.loads(one), "")), dict(_leaves(json.loads(other), ""))
    for path in sorted(left.keys() | right.keys()):
        first, second = left.get(path, _ABSENT), right.get(path, _ABSENT)
        if first != second and not path.startswith(("rootfs.", "layers", "config.digest", "config.size")):
            yield Difference(layer=name, path=path, field="value", one=first, other=second)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{position}]")
    else:
        yield path, json.dumps(value, ensure_ascii=False)
