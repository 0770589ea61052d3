"""An image as one tar that every engine loads: OCI's layout, and Docker's ``manifest.json`` beside it.

An OCI archive alone is refused by engines with graph drivers; with ``manifest.json`` pointing into the blobs
of the layout the same file loads on both kinds, on Podman and on Buildah.
"""

import os
import tarfile
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path

from envbuild.oci.blobs import Blobs, documents_of, each_layer, read_verified
from envbuild.oci.image import OciImage
from envbuild.oci.index import (
    DOCKER_FILE,
    INDEX_FILE,
    LAYOUT,
    LAYOUT_FILE,
    blob_name,
    docker_manifest,
    index_entry,
    index_of,
)
from envbuild.progress import SILENT, ByteCounter, Progress


def archive_chunks(
    image: OciImage,
    reference: str,
    *,
    blobs: Blobs,
    without: Container[str] = frozenset(),
    progress: Progress = SILENT,
) -> Iterator[bytes]:
    """Yield the archive of ``image``: the same bytes for the same image and name.

    Layers whose digest is in ``without`` are left out: for an engine that has them.

    :raises IntegrityError: a blob is not what its digest says; what was yielded is then of no use.
    """
    layers = [layer for layer in each_layer(image) if layer.digest not in without]
    counter = ByteCounter(progress, sum(layer.size for layer in layers))
    documents = {
        LAYOUT_FILE: LAYOUT,
        INDEX_FILE: index_of([index_entry(image, reference)]),
        DOCKER_FILE: docker_manifest(image, reference),
        **{blob_name(digest): data for digest, data in sorted(documents_of(image).items())},
    }
    for folder in ("blobs", "blobs/sha256"):
        yield _header(folder, 0, folder=True)
    for name, data in documents.items():
        yield _header(name, len(data)) + data + _padding(len(data))
    for layer in layers:
        yield _header(blob_name(layer.digest), layer.size)
        for chunk in read_verified(blobs.path(layer), layer):
            yield chunk
            counter.add(len(chunk))
        yield _padding(layer.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def write_archive(
    image: OciImage, reference: str, path: Path, *, blobs: Blobs, progress: Progress = SILENT
) -> None:
    """Write the archive of ``image`` to ``path``; it appears whole or not at all.

    :raises IntegrityError: a blob is not what its digest says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        chunks = archive_chunks(image, reference, blobs=blobs, progress=progress)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _header(name: str, size: int, *, folder: bool = False) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o755 if folder else 0o644
    entry.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    return entry.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
