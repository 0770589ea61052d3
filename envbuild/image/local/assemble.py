"""One build of the local engine: assembled in the cache folder, or beside it when nothing may be reused."""

from pathlib import Path

from envbuild.image.engine import BuildRequest
from envbuild.image.local.build import assemble_image
from envbuild.image.local.images import ImageStore
from envbuild.image.local.inputs import build_inputs
from envbuild.image.local.layers.store import LayerStore, layer_path
from envbuild.image.local.user_namespace import raise_open_files
from envbuild.oci.image import OciImage
from envbuild.store.stage import workspace


def assemble(request: BuildRequest, reference: str, *, cache: Path) -> OciImage:
    """Assemble the image of a target and keep it as ``reference``.

    Nothing is pruned meanwhile.  Afterwards the layers least recently used go, if there is too much.

    :raises BuildFailedError: a step failed; its last lines are the detail.
    :raises EngineError: this machine cannot run the steps.
    """
    raise_open_files()
    with request.artifacts.store.use():
        image = _assemble_cached(request, cache) if request.use_cache else _assemble_anew(request, cache)
        ImageStore(cache).put(reference, image)
    LayerStore(cache).trim()
    return image


def _assemble_cached(request: BuildRequest, cache: Path) -> OciImage:
    return assemble_image(request.lock, request.target, build_inputs(request, cache))


def _assemble_anew(request: BuildRequest, cache: Path) -> OciImage:
    with workspace(request.artifacts.store) as folder:
        image = assemble_image(request.lock, request.target, build_inputs(request, folder))
        for layer in image.layers[image.base_layers :]:
            kept = layer_path(cache, layer.digest)
            kept.parent.mkdir(parents=True, exist_ok=True)
            layer_path(folder, layer.digest).replace(kept)
    return image
