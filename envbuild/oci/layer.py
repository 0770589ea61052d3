"""One layer of an image as the layer cache holds it: what configuration and manifest must say of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envbuild.digest import OciDigest

if TYPE_CHECKING:
    from envbuild.formats.compression import Compression

ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
"""Media types of layers (image-spec, layer.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A compressed tar of files, named by its content before and after compression."""

    diff_id: OciDigest
    """Digest of the uncompressed tar; what the image configuration lists."""

    digest: OciDigest
    """Digest of the compressed bytes; what the manifest lists and registries keep."""

    size: int
    """Compressed bytes."""

    unpacked: int
    """Bytes of the uncompressed tar."""

    media_type: str
    """:data:`ZSTD_LAYER` or :data:`GZIP_LAYER`."""

    comment: str
    """What the image's history says of it (``created_by``)."""


def media_type_of(compression: "Compression") -> str:
    """Return the media type of layers compressed so."""
    return ZSTD_LAYER if compression == "zstd" else GZIP_LAYER
