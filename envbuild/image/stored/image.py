"""One stored image: its configuration, and what its layers hold, whatever it is that stores them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from envbuild.digest import OciDigest
from envbuild.errors import ImageError, IntegrityError
from envbuild.image.facts import ImageFacts, facts_of_config
from envbuild.image.stored.listings import ListingCache
from envbuild.oci.layer_listing import LayerListing
from envbuild.oci.manifest import (
    Manifest,
    ManifestError,
    choose_manifests,
    parse_config,
    parse_image_document,
    parse_index_or_manifest,
    require_one_choice,
)
from envbuild.platforms import Platform

MOST_LAYERS: Final = 500
"""Layers of an image that are laid over each other."""

ReadLayers = Callable[[frozenset[OciDigest]], Iterator[LayerListing]]
"""Yields the listings of the layers with these digests of their uncompressed archives; perhaps of others too.

Bytes of a layout, and of the local engine's cache, are hashed whether or not they are wanted.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image that a name was resolved to, once."""

    source: str
    """What stores it, in words: ``the engine``, ``the registry``."""

    digest: OciDigest
    """What the name was resolved to; everything else follows from it."""

    config: bytes = field(repr=False)
    """The image's configuration, as stored."""

    read_layers: ReadLayers = field(repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """The configuration, read.

        :raises ManifestError: it is no JSON object.
        """
        try:
            document = parse_image_document(self.config)
        except ValueError as error:
            raise ManifestError(
                "the image's configuration is no JSON that all engines read the same way",
                detail=str(error)[:200],
            ) from error
        if not isinstance(document, dict):
            raise ManifestError("the image's configuration is not a JSON object")
        return document

    @property
    def facts(self) -> ImageFacts:
        """The image as engines describe one.

        :raises ManifestError: the configuration is not well formed.
        """
        return facts_of_config(self.config, identifier=self.digest)


def find_manifest(
    digest: OciDigest, document: Callable[[OciDigest], bytes], platform: Platform
) -> tuple[OciDigest, Manifest]:
    """Return the manifest that ``digest`` leads to, by itself or through an index, and its own digest.

    ``document`` gives the bytes of a digest.

    :raises ManifestError: a document is not well formed, or engines may take another image of the index.
    :raises ImageError: there is none for ``platform``.
    """
    parsed = parse_index_or_manifest(document(digest), "")
    if isinstance(parsed, Manifest):
        return digest, parsed
    require_one_choice(parsed, platform)
    for choice in choose_manifests(parsed, platform):
        found = parse_index_or_manifest(document(choice.digest), choice.media_type)
        if isinstance(found, Manifest):
            return choice.digest, found
    raise ImageError(f"it is not offered for {platform.name}")


def list_image(image: StoredImage, listings: ListingCache) -> tuple[LayerListing, ...]:
    """Return the listings of an image's layers, bottom first; each layer is read at most once.

    :raises IntegrityError: a layer is not what the configuration says.
    :raises ImageError: there are more than :data:`MOST_LAYERS`.
    :raises LayerError: a layer is no readable archive.
    """
    diff_ids = parse_config(image.config).diff_ids
    if len(diff_ids) > MOST_LAYERS:
        raise ImageError(f"the image has {len(diff_ids)} layers; engines stop at about 125")
    for read in image.read_layers(listings.missing(diff_ids)):
        listings.put(read)
    found = [listings.get(diff_id) for diff_id in diff_ids]
    for position, listing in enumerate(found, start=1):
        if listing is None:
            raise IntegrityError(
                f"layer {position} of the image is not what its configuration says",
                detail=f"{image.source} holds no layer that unpacks to {diff_ids[position - 1]}",
                hint="do not use this image",
            )
    return tuple(listing for listing in found if listing is not None)
