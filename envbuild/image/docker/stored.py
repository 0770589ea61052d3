"""An image of a Docker Engine as the engine stores it: what `docker save` gives, read by digest."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from envbuild.cache.folders import DOCUMENTS, PARTIALS
from envbuild.digest import OciDigest
from envbuild.errors import EngineError
from envbuild.image.docker.images import DockerImages
from envbuild.image.stored.archive import ArchivedImages, read_archive
from envbuild.image.stored.image import StoredImage, find_manifest
from envbuild.image.stored.listings import ListingCache
from envbuild.oci.documents import Document, DocumentFolder
from envbuild.oci.layer_listing import LayerListing
from envbuild.oci.manifest import parse_image_document
from envbuild.platforms import Platform
from envbuild.progress import Progress

SOURCE: Final = "the engine"


def stored_in_engine(
    images: DockerImages,
    identifier: OciDigest,
    *,
    platform: Platform,
    cache: Path,
    listings: ListingCache,
    progress: Progress,
) -> StoredImage:
    """Return the image with the engine's ID ``identifier``, of ``platform`` where there are several.

    The ID is the digest of the configuration, of the manifest or of an index, after the engine's store.

    :raises EngineError: the engine does not answer, or what it wrote out is not the image of that ID.
    """
    documents = DocumentFolder(DOCUMENTS.path(cache))
    saved: dict[OciDigest, bytes] = {}

    def save() -> ArchivedImages:
        progress.on_stage(f"reading {identifier[:19]} from the engine")
        return read_archive(images.save(identifier), listings, scratch=PARTIALS.path(cache))

    def document(digest: OciDigest) -> bytes:
        kept = documents.get(digest)
        if kept is not None:
            return kept.data
        if not saved:
            saved.update(save().documents)
        data = saved.get(digest)
        if data is None:
            raise EngineError(
                f"the engine did not write out {digest[:19]}",
                hint="an image pulled for several platforms may be incomplete: pull it for one",
            )
        documents.put(Document(digest=digest, media_type="", data=data))
        return data

    def read(wanted: frozenset[OciDigest]) -> Iterator[LayerListing]:
        if wanted and listings.missing(wanted):
            save()
        yield from ()

    config = document(_configuration(identifier, document, platform))
    return StoredImage(source=SOURCE, digest=identifier, config=config, read_layers=read)


def _configuration(
    identifier: OciDigest, document: Callable[[OciDigest], bytes], platform: Platform
) -> OciDigest:
    """Return the digest of the configuration that the engine's ID leads to."""
    if not _is_manifest(document(identifier)):
        return identifier
    _, manifest = find_manifest(identifier, document, platform)
    return manifest.config.digest


def _is_manifest(data: bytes) -> bool:
    """Return whether a document is a manifest or an index; a configuration has `rootfs` in their place."""
    try:
        found = parse_image_document(data)
    except ValueError:
        return False
    return isinstance(found, dict) and ("manifests" in found or "layers" in found)
