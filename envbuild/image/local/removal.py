"""Removing images of the local engine: the name, and what no other image needs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from envbuild.cache.use_lock import own
from envbuild.errors import EngineError
from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.blobs import base_path
from envbuild.image.local.layers.store import LayerStore, layer_path
from envbuild.image.local.roots.unpacked_layers import LayerTrees
from envbuild.oci.image import OciImage

WAIT_SECONDS: Final = 5.0


def remove_image(reference: str, *, cache: Path) -> None:
    """Remove the image called ``reference``, its layers and its unpacked layers, but for what others need.

    Trees of another user namespace that this process may not remove stay for `envbuild cache prune`.

    :raises EngineError: there is no image of that name, or a command runs in it.
    :raises EnvbuildError: other processes still use the cache folder after :data:`WAIT_SECONDS`.
    """
    store = ImageStore(cache)
    with own(cache, wait_seconds=WAIT_SECONDS):
        images = dict(store.images())
        image = images.pop(reference, None)
        if image is None:
            # a name whose documents are gone stands for nothing that could be used
            if not store.forget(reference):
                raise EngineError(f"the local engine has no image {reference}")
            return
        trees, diff_ids = (
            list(LayerTrees.removable(cache)),
            set(_needed_by_no_other(image, images, _diff_ids)),
        )
        if any(tree.is_used(diff_id) for tree in trees for diff_id in diff_ids):
            raise EngineError(
                f"{reference} is used by a command that `envbuild run` started",
                hint="wait for the command to end, or end it, then try again",
            )
        store.forget(reference)
        for digest in _needed_by_no_other(image, images, _digests):
            layer_path(cache, digest).unlink(missing_ok=True)
            base_path(cache, digest).unlink(missing_ok=True)
        LayerStore(cache).sweep()
        for tree in trees:
            for diff_id in diff_ids:
                tree.remove(diff_id)


def _needed_by_no_other(
    image: OciImage, others: dict[str, OciImage], needs: Callable[[OciImage], Iterator[str]]
) -> list[str]:
    """Return what ``image`` needs and none of ``others`` does, sorted."""
    needed = {item for other in others.values() for item in needs(other)}
    return sorted(set(needs(image)) - needed)


def _digests(image: OciImage) -> Iterator[str]:
    yield from (layer.digest for layer in image.layers)


def _diff_ids(image: OciImage) -> Iterator[str]:
    yield from image.diff_ids
