"""An image as a folder in OCI's layout (image-spec, image-layout.md)."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envbuild.errors import UsageError
from envbuild.files import atomic
from envbuild.formats.json_text import parse_json
from envbuild.oci.blobs import Blobs, documents_of, each_layer
from envbuild.oci.copying import copy_blob
from envbuild.oci.image import OciImage
from envbuild.oci.index import (
    INDEX_FILE,
    LAYOUT,
    LAYOUT_FILE,
    REF_NAME,
    blob_name,
    index_entry,
    index_of,
)
from envbuild.progress import SILENT, ByteCounter, Progress


def write_layout(
    image: OciImage, reference: str, folder: Path, *, blobs: Blobs, progress: Progress = SILENT
) -> None:
    """Write ``image`` into the layout at ``folder`` under the tag of ``reference``.

    Other images of the layout stay; one of the same tag is replaced in the index, which is written last.

    :raises UsageError: the folder holds something else than a layout.
    :raises IntegrityError: a blob is not what its digest says.
    """
    entry = index_entry(image, reference)
    tag = entry["annotations"][REF_NAME]
    if folder.exists() and not folder.is_dir():
        raise _something_else(folder)
    with _alone(folder):
        _others(folder, tag)
        atomic.write_bytes(folder / LAYOUT_FILE, LAYOUT)
    counter = ByteCounter(progress, image.size)
    for layer in each_layer(image):
        copy_blob(blobs.path(layer), layer, folder / blob_name(layer.digest), on_bytes=counter.add)
    for digest, data in documents_of(image).items():
        atomic.write_bytes(folder / blob_name(digest), data)
    with _alone(folder):
        # another process may have written its image meanwhile
        entries = [*_others(folder, tag), entry]
        atomic.write_bytes(folder / INDEX_FILE, index_of(entries))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on ``folder``, made if it is missing; the lock leaves no file of its own in a layout."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _others(folder: Path, tag: str) -> list[dict[str, Any]]:
    """Return the images a layout offers under other tags."""
    if not any(folder.iterdir()):
        return []
    if not (folder / LAYOUT_FILE).is_file():
        raise _something_else(folder)
    try:
        entries = parse_json((folder / INDEX_FILE).read_bytes())["manifests"]
        return [entry for entry in entries if (entry.get("annotations") or {}).get(REF_NAME) != tag]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{folder / INDEX_FILE} is not the index of a layout", hint="name a new folder"
        ) from error


def _something_else(folder: Path) -> UsageError:
    return UsageError(f"{folder} holds something else than an OCI layout", hint="name a new folder")
