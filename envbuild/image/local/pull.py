"""Images of registries for the local engine: their layers beside those that were made here.

Whatever is kept was checked against its digest on the way, so a layer that came from a registry is as good as
one that was made from the same key.
"""

from pathlib import Path
from typing import Final

from envbuild.cache.use_lock import use
from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.blobs import BaseBlobs
from envbuild.image.local.layers.store import LayerStore
from envbuild.image.registry_image import RegistryImage
from envbuild.oci.blobs import each_layer
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import Descriptor, media_type_of_manifest
from envbuild.oci.reference import parse_reference
from envbuild.parallel import run_all
from envbuild.progress import ByteCounter, Progress
from envbuild.remote.registry.client import RegistryClient

DOWNLOADS: Final = 4
"""Layers fetched at the same time."""


def pull_image(
    image: RegistryImage, *, registry: RegistryClient, cache: Path, progress: Progress
) -> OciImage:
    """Bring an image of a registry into the cache folder, under its ``reference``.

    The layers that are known to be an image base's are kept with those of bases.

    :raises NetworkError: the registry is out of reach or refuses, or has lost a layer.
    :raises IntegrityError: it sent something else than its digests say.
    :raises DiskFullError: there is no room.
    """
    pinned = parse_reference(image.pinned).at(image.manifest)
    resolved = registry.resolve(pinned, image.platform, any_platform=True)
    manifest = registry.document(pinned).data
    content = OciImage(
        config=resolved.config.document,
        manifest=manifest,
        layers=resolved.layers,
        diff_ids=resolved.config.diff_ids,
        base_layers=image.base_layers,
        media_type=media_type_of_manifest(manifest),
    )
    base_layers = {layer.digest for layer in content.layers[: content.base_layers]}
    bases, layers = BaseBlobs(cache, pinned, registry=lambda: registry), LayerStore(cache)
    counter = ByteCounter(progress, content.size)

    def fetch(layer: Descriptor) -> None:
        if layer.digest in base_layers:
            bases.path(layer)
            counter.add(layer.size)
        else:
            fetched = layers.fetch(layer, lambda: registry.read_blob(pinned, layer), on_bytes=counter.add)
            counter.add(0 if fetched else layer.size)

    with use(cache):
        # the largest first, so that it is not left over at the end
        wanted = sorted(each_layer(content), key=lambda layer: (-layer.size, layer.digest))
        run_all(fetch, wanted, workers=DOWNLOADS)
        ImageStore(cache).put(image.reference, content)
    return content
