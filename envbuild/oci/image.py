"""An image as two documents: its configuration and its manifest (OCI image-spec 1.1).

Pure.  Where the layers' own bytes lie is left to ``blobs.py``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from envbuild.digest import sha256_bytes
from envbuild.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor


@dataclass(frozen=True)
class OciImage:
    """An image without the bytes of its layers."""

    config: bytes
    manifest: bytes
    layers: tuple[Descriptor, ...]
    """Bottom first."""

    diff_ids: tuple[str, ...]
    """Digests of the uncompressed layers, bottom first."""

    base_layers: int = 0
    """How many of the layers, from the bottom, are those of an image base."""

    media_type: str = OCI_MANIFEST
    """Of the manifest; one that was pulled may be of Docker's."""

    @cached_property
    def config_descriptor(self) -> Descriptor:
        """The configuration by digest."""
        return described(self.config, OCI_CONFIG)

    @cached_property
    def descriptor(self) -> Descriptor:
        """The manifest by digest."""
        return described(self.manifest, self.media_type)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The configuration, read."""
        document: dict[str, Any] = json.loads(self.config)
        return document

    @property
    def architecture(self) -> str:
        """As OCI names it."""
        return str(self.document["architecture"])

    @property
    def size(self) -> int:
        """Bytes of the layers as they are stored and sent."""
        return sum(layer.size for layer in self.layers)


def described(data: bytes, media_type: str) -> Descriptor:
    """Return the descriptor of a document."""
    return Descriptor(media_type=media_type, digest=f"sha256:{sha256_bytes(data)}", size=len(data))


def as_json(descriptor: Descriptor) -> dict[str, Any]:
    """Return a descriptor as documents have it (image-spec, descriptor.md)."""
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
