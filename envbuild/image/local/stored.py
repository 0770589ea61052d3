"""The layers of a local image, read as they lie in the cache folder."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from envbuild.digest import OciDigest
from envbuild.image.local.layers.blobs import ImageBlobs
from envbuild.image.stored.listings import ListingCache
from envbuild.oci.blobs import read_verified
from envbuild.oci.image import OciImage
from envbuild.oci.layer_listing import LayerListing, list_layer
from envbuild.oci.manifest import Descriptor


def list_layers(
    image: OciImage, blobs: ImageBlobs, wanted: frozenset[OciDigest], listings: ListingCache
) -> Iterator[LayerListing]:
    """Yield the listings of the ``wanted`` layers of ``image``; hash the bytes of the others that are here.

    :raises IntegrityError: a layer is not what its digest says.
    :raises NetworkError: a wanted layer of the base is not here, and its registry does not give it.
    """

    def read(diff_id: OciDigest, layer: Descriptor) -> LayerListing | None:
        if diff_id in wanted:
            listing = list_layer(read_verified(blobs.path(layer), layer))
            listings.note_blob(layer.digest, listing.diff_id)
            return listing
        place = blobs.kept(layer)
        if place is not None:
            for _ in read_verified(place, layer):
                pass
        return None

    pairs = dict(zip(image.diff_ids, image.layers, strict=True))
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as threads:
        for listing in threads.map(read, pairs.keys(), pairs.values()):
            if listing is not None:
                yield listing
