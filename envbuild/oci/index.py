"""``index.json`` and its neighbours: how a layout and an archive name the images in them.

Three readers, three ways to a name: containerd reads its own annotation, Podman and skopeo OCI's, and
engines with graph drivers the ``manifest.json`` of Docker's archives.
"""

from typing import Any, Final

from envbuild.digest import canonical_json
from envbuild.oci.image import OciImage, as_json
from envbuild.oci.manifest import OCI_INDEX
from envbuild.oci.reference import parse_reference

LAYOUT_FILE: Final = "oci-layout"
INDEX_FILE: Final = "index.json"
DOCKER_FILE: Final = "manifest.json"
LAYOUT: Final = canonical_json({"imageLayoutVersion": "1.0.0"})

CONTAINERD_NAME: Final = "io.containerd.image.name"
REF_NAME: Final = "org.opencontainers.image.ref.name"


def index_entry(image: OciImage, reference: str) -> dict[str, Any]:
    """Return the descriptor under which an index offers an image called ``reference``."""
    named = parse_reference(reference)
    return {
        **as_json(image.descriptor),
        "platform": {"os": "linux", "architecture": image.architecture},
        "annotations": {CONTAINERD_NAME: str(named), REF_NAME: named.locator},
    }


def index_of(entries: list[dict[str, Any]]) -> bytes:
    """Return an ``index.json``."""
    return canonical_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


def docker_manifest(image: OciImage, reference: str) -> bytes:
    """Return the ``manifest.json`` of an archive whose blobs lie as in a layout."""
    return canonical_json(
        [
            {
                "Config": blob_name(image.config_descriptor.digest),
                "RepoTags": [parse_reference(reference).familiar],
                "Layers": [blob_name(layer.digest) for layer in image.layers],
            }
        ]
    )


def blob_name(digest: str) -> str:
    """Return where a layout has a blob (image-spec, image-layout.md)."""
    return f"blobs/{digest.replace(':', '/')}"
