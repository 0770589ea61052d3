"""An image as a folder in OCI's layout (image-spec, image-layout.md)."""

import json
from pathlib import Path
from typing import Any

from envbuild import atomic
from envbuild.errors import UsageError
from envbuild.image.oci.blobs import Blobs, documents_of, each_layer
from envbuild.image.oci.copying import copy_blob
from envbuild.image.oci.image import OciImage
from envbuild.image.oci.index import (
    INDEX_FILE,
    LAYOUT,
    LAYOUT_FILE,
    REF_NAME,
    blob_name,
    index_entry,
    index_of,
)
from envbuild.image.oci.progress import Count


def write_layout(image: OciImage, reference: str, folder: Path, *, blobs: Blobs, count: Count) -> None:
    """Write ``image`` into the layout at ``folder`` under the tag of ``reference``.

    Other images of the layout stay; one of the same tag is replaced in the index, which is written last.

    :raises UsageError: the folder holds something else than a layout.
    :raises IntegrityError: a blob is not what its digest says.
    """
    others = _others(folder, index_entry(image, reference)["annotations"][REF_NAME])
    count.start(image.size)
    for layer in each_layer(image):
        copy_blob(blobs.path(layer), layer, folder / blob_name(layer.digest), on_bytes=count.add)
    for digest, data in documents_of(image).items():
        atomic.write_bytes(folder / blob_name(digest), data)
    atomic.write_bytes(folder / LAYOUT_FILE, LAYOUT)
    entries = [*others, index_entry(image, reference)]
    atomic.write_bytes(folder / INDEX_FILE, index_of(entries))


def _others(folder: Path, tag: str) -> list[dict[str, Any]]:
    """Return the images a layout offers under other tags."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return []
    if not (folder / LAYOUT_FILE).is_file():
        raise UsageError(f"{folder} holds something else than an OCI layout", hint="name a new folder")
    try:
        entries = json.loads((folder / INDEX_FILE).read_bytes())["manifests"]
        return [entry for entry in entries if (entry.get("annotations") or {}).get(REF_NAME) != tag]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{folder / INDEX_FILE} is not the index of a layout", hint="name a new folder"
        ) from error
