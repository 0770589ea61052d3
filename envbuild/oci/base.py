"""A base image as the bottom of another: its layers as they are, its settings, its history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from envbuild.formats.json_text import parse_json
from envbuild.oci.manifest import Descriptor, ManifestError, parse_config

_OCI_TYPES: Final = {
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
"""The same bytes under OCI's names: a manifest speaks one language (image-spec, media-types.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """What an image takes over from the one it stands on."""

    layers: tuple[Descriptor, ...]
    """Bottom first, under OCI's media types."""

    diff_ids: tuple[str, ...]
    settings: Mapping[str, Any]
    """The ``config`` table of its configuration."""

    environment: tuple[str, ...]
    """Names of its variables in their order."""

    history: tuple[Mapping[str, Any], ...]
    """One entry for each layer and those of steps without one."""

    variant: str = ""
    """Of the architecture."""


def read_base_image(config: bytes, layers: Sequence[Descriptor]) -> BaseImage:
    """Return the base whose configuration is ``config`` and whose manifest names ``layers``.

    :raises DocumentError: they contradict each other, or a layer may not be distributed.
    """
    known = parse_config(config)
    document = parse_json(config)
    if len(known.diff_ids) != len(layers):
        raise ManifestError("the base's manifest and its configuration name different numbers of layers")
    for layer in layers:
        if layer.urls or "nondistributable" in layer.media_type or ".foreign." in layer.media_type:
            raise ManifestError(
                f"layer {layer.digest[:19]} of the base may not be distributed",
                hint="choose a base without such layers",
            )
    return BaseImage(
        layers=tuple(
            replace(layer, media_type=_OCI_TYPES.get(layer.media_type, layer.media_type)) for layer in layers
        ),
        diff_ids=known.diff_ids,
        settings=document.get("config") or {},
        environment=tuple(known.environment),
        history=_history(document.get("history") or (), len(layers)),
        variant=str(document.get("variant") or ""),
    )


def _history(entries: Sequence[Mapping[str, Any]], layers: int) -> tuple[Mapping[str, Any], ...]:
    """Return the base's history where it fits its layers; engines refuse an image where it does not."""
    if sum(not entry.get("empty_layer") for entry in entries) == layers:
        return tuple(entries)
    return tuple({"created_by": "a layer of the base"} for _ in range(layers))
