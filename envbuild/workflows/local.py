"""The local engine joined to this machine: its cache, its network, its terminal."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from envbuild.cache.location import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from envbuild.cli.output import Activity
    from envbuild.formats.compression import Compression
    from envbuild.image.docker.build import BuildOutcome
    from envbuild.image.docker.load import Loaded
    from envbuild.image.engine import GpuEngine
    from envbuild.image.gpus import GpuAccess
    from envbuild.image.local.build import BuildInputs
    from envbuild.image.local.layers.blobs import BaseBlobs, ImageBlobs
    from envbuild.lock.model import ImageSource, Lock, Target, Wheel
    from envbuild.oci.base import BaseImage
    from envbuild.oci.image import OciImage
    from envbuild.oci.reference import ImageReference
    from envbuild.remote.registry.client import RegistryClient
    from envbuild.store.artifact import Artifact
    from envbuild.workflows.artifacts import Artifacts
    from envbuild.workflows.engines import EngineName
    from envbuild.workflows.outputs import ImageOutput
    from envbuild.workflows.project import Project

NO_GPUS: Final = "the local engine gives no GPU to what it runs"

DOCUMENTS: Final = "documents"
"""Below the folder of images: manifests and configurations, of bases too."""


def open_local_engine(gpus: "GpuAccess | None", *, offline: bool) -> "GpuEngine":
    """Return the engine that needs no daemon, on this user's cache folder.

    :raises UsageError: GPUs are demanded of it.
    """
    from envbuild.errors import UsageError
    from envbuild.image.gpus import AUTO, NONE
    from envbuild.image.local.engine import LocalEngine

    act_as_root()
    if gpus is not None and gpus.devices not in {AUTO, NONE}:
        raise UsageError(
            NO_GPUS, hint="use --engine docker; the image is the same after `envbuild build --load`"
        )
    withheld = NO_GPUS if gpus is not None and gpus.devices == AUTO else None
    return LocalEngine(cache_folder(), blobs=partial(blobs_of, offline=offline), withheld=withheld)


def find_locally(
    lock: "Lock", target: "Target", *, compression: "Compression" = "zstd"
) -> "BuildOutcome | None":
    """Return the image of a target when it is here, whole and compressed as asked."""
    from envbuild.image.docker.build import LOCAL, BuildOutcome, is_image_of
    from envbuild.image.identity import image_reference_for
    from envbuild.image.local.images import ImageStore, facts_of
    from envbuild.image.local.layers.blobs import is_whole, note_use
    from envbuild.lock.identity import target_digest
    from envbuild.oci.layer import media_type_of

    reference = image_reference_for(lock, target)
    image = ImageStore(cache_folder()).get(reference)
    if image is None or not is_whole(image, cache_folder()):
        return None
    note_use(image, cache_folder())
    facts, own = facts_of(image), image.layers[image.base_layers :]
    is_the_one = is_image_of(facts, target_digest(lock, target), engines=(LOCAL,)) and all(
        layer.media_type == media_type_of(compression) for layer in own
    )
    return BuildOutcome(reference, facts, built=False) if is_the_one else None


def act_as_root() -> None:
    """Return if this process may make private roots; else start the program anew where it may.

    To be called before anything is shown.

    :raises EngineError: this machine and user give no way to.
    """
    from envbuild.image.local.user_namespace import enter_namespace

    enter_namespace(sys.argv[1:], environment=os.environ)


def act_as_root_for(projects: "Iterable[Project]", engine: "EngineName | None") -> None:
    """Do :func:`act_as_root` if one of several projects is the local engine's.

    Once and beforehand: what is worked on in threads cannot be started anew by one of them.

    :raises EngineError: this machine and user give no way to.
    """
    from envbuild.workflows.engines import choose_engine

    if any(choose_engine(engine, project) == "local" for project in projects):
        act_as_root()


def build_locally(
    lock: "Lock",
    target: "Target",
    *,
    use_cache: bool,
    offline: bool,
    activity: "Activity",
    compression: "Compression" = "zstd",
) -> "BuildOutcome":
    """Return the image of a target, assembled when it is not here whole or nothing may be reused."""
    from envbuild.image.docker.build import BuildOutcome
    from envbuild.image.identity import image_reference_for
    from envbuild.image.local.images import ImageStore, facts_of
    from envbuild.image.local.layers.store import LayerStore
    from envbuild.store.store import Store

    found = find_locally(lock, target, compression=compression) if use_cache else None
    if found is not None:
        return found
    reference = image_reference_for(lock, target)
    # nothing is pruned meanwhile; afterwards what was not used for longest goes, if there is too much
    with Store(cache_folder()).use():
        image = assemble(
            lock, target, use_cache=use_cache, offline=offline, activity=activity, compression=compression
        )
        ImageStore(cache_folder()).put(reference, image)
    LayerStore(cache_folder()).trim()
    return BuildOutcome(reference, facts_of(image), built=True)


def assemble(
    lock: "Lock",
    target: "Target",
    *,
    use_cache: bool,
    offline: bool,
    activity: "Activity",
    compression: "Compression",
) -> "OciImage":
    """Assemble the image of a target; with nothing of the cache in it, when nothing may be reused.

    Without root the program starts anew as root of a user namespace.

    :raises EngineError: it may not.
    """
    from envbuild.image.local.build import assemble_image
    from envbuild.image.local.user_namespace import raise_open_files
    from envbuild.oci.layer import layer_path
    from envbuild.store.stage import workspace
    from envbuild.workflows.artifacts import Artifacts

    act_as_root()
    raise_open_files()
    artifacts = Artifacts(lock, target, offline, activity)
    cache = cache_folder()
    if use_cache:
        return assemble_image(lock, target, place_for(artifacts, cache, compression=compression))
    with workspace(artifacts.store) as folder:
        image = assemble_image(lock, target, place_for(artifacts, folder, compression=compression))
        for layer in image.layers[image.base_layers :]:
            place = layer_path(cache, layer.digest)
            place.parent.mkdir(parents=True, exist_ok=True)
            layer_path(folder, layer.digest).replace(place)
    return image


def place_for(
    artifacts: "Artifacts",
    cache: "Path",
    *,
    compression: "Compression",
    workers: int | None = None,
    arrange: "Callable[[Sequence[Wheel]], Sequence[Wheel]] | None" = None,
) -> "BuildInputs":
    """Return where and of what the image of the artifacts' target is assembled: layers go below ``cache``."""
    from envbuild.formats.compression import codec_of
    from envbuild.image.local.build import BuildInputs
    from envbuild.render.recipe import carried_files
    from envbuild.verify.probe_bundle import build_probe

    lock, target, activity = artifacts.lock, artifacts.target, artifacts.activity
    source = lock.base(target).image
    options: dict[str, Any] = {} if arrange is None else {"arrange": arrange}
    return BuildInputs(
        cache=cache,
        codec=codec_of(compression),
        artifact=_Packages(artifacts).path,
        open_wheel=lambda wheel: artifacts.store.open_verified(wheel.sha256),
        fetch_wheels=lambda wheels: artifacts.fetch([artifacts.by_sha256[item.sha256] for item in wheels]),
        carried=carried_files(lock, target, probe=build_probe()),
        base=_base(source, target, offline=artifacts.offline, activity=activity) if source else None,
        workers=workers,
        progress=activity,
        **options,
    )


class _Packages:
    """What of a target is no wheel of its environment; all of a kind are fetched when the first is wanted.

    There are two kinds: what makes the base, and conda packages with what lays them down.
    """

    def __init__(self, artifacts: "Artifacts") -> None:
        self._artifacts = artifacts
        self._lock = threading.Lock()
        self._fetched: set[bool] = set()

    def path(self, sha256: str) -> "Path":
        known = self._artifacts.by_sha256
        of_base = self._is_of_base(known[sha256])
        with self._lock:
            if of_base not in self._fetched:
                alike = [item for item in known.values() if self._is_of_base(item) is of_base]
                self._artifacts.fetch(
                    [item for item in alike if item.kind != "wheel" or item.filename == self._tool]
                )
                self._fetched.add(of_base)
        # fetching compares sizes only
        self._artifacts.store.open_verified(sha256).close()
        return self._artifacts.store.place_of(sha256)

    @property
    def _tool(self) -> str | None:
        installer = self._artifacts.target.conda_installer
        return installer.wheel if installer else None

    @staticmethod
    def _is_of_base(artifact: "Artifact") -> bool:
        return artifact.kind in {"deb", "python"}


def _base(
    source: "ImageSource", target: "Target", *, offline: bool, activity: "Activity"
) -> "tuple[BaseImage, BaseBlobs]":
    """Return what an image takes over from its base, and where that has its layers."""
    from envbuild.errors import IntegrityError
    from envbuild.image.local.layers.blobs import BaseBlobs
    from envbuild.oci.base import read_base_image
    from envbuild.oci.reference import parse_reference
    from envbuild.platforms import PLATFORMS

    reference = parse_reference(source.reference).at(source.digest)
    registry = _registry(offline=offline)
    image = registry.resolve(reference, PLATFORMS[target.platform])
    if image.config_digest != source.config or image.config.diff_ids != source.diff_ids:
        raise IntegrityError(
            f"{reference.familiar} is not the base that was locked", hint="run `envbuild lock` again"
        )
    activity.on_stage(f"reading {source.reference}")
    blobs = BaseBlobs(cache_folder(), reference, registry=registry, offline=offline)
    return read_base_image(image.config.document, image.layers), blobs


def _registry(*, offline: bool) -> "RegistryClient":
    """Return a reader of registries that keeps documents; offline it has nothing else."""
    from envbuild.image.local.images import FOLDER
    from envbuild.remote.registry.client import RegistryClient
    from envbuild.remote.registry.transport import OfflineTransport

    documents = cache_folder() / FOLDER / DOCUMENTS
    return RegistryClient(documents=documents, transport=OfflineTransport() if offline else None)


def blobs_of(image: "OciImage", *, offline: bool) -> "ImageBlobs":
    """Return where the layers of an image of this cache are."""
    from envbuild.image.local.images import facts_of
    from envbuild.image.local.layers.blobs import BaseBlobs, ImageBlobs, base_reference

    reference = base_reference(facts_of(image).labels) if image.base_layers else None
    base = (
        BaseBlobs(cache_folder(), reference, registry=_registry(offline=offline), offline=offline)
        if reference
        else None
    )
    return ImageBlobs(image, cache=cache_folder(), base=base)


def image_of(reference: str) -> "OciImage":
    """Return an image that was just built."""
    from envbuild.errors import EngineError
    from envbuild.image.local.images import ImageStore

    image = ImageStore(cache_folder()).get(reference)
    if image is None:
        raise EngineError(f"the local engine lost {reference}", hint="run `envbuild build` again")
    return image


def write_output(
    outcome: "BuildOutcome", output: "ImageOutput", *, offline: bool, activity: "Activity"
) -> None:
    """Write an image to where ``output`` says."""
    from envbuild.oci.archive import write_archive
    from envbuild.oci.layout import write_layout

    image = image_of(outcome.reference)
    blobs = blobs_of(image, offline=offline)
    activity.on_stage(f"writing {output}")
    write = write_layout if output.kind == "oci" else write_archive
    write(image, outcome.reference, output.path, blobs=blobs, progress=activity)


def load_into_docker(outcome: "BuildOutcome", *, offline: bool, activity: "Activity") -> "Loaded":
    """Make the Docker Engine hold an image of the local engine, sending only what it lacks."""
    from envbuild.image.docker.engine import DockerEngine
    from envbuild.image.docker.load import load_image

    image = image_of(outcome.reference)
    activity.on_stage(f"loading {outcome.reference}")
    return load_image(
        DockerEngine(),
        image,
        outcome.reference,
        blobs=blobs_of(image, offline=offline),
        progress=activity,
    )


def push_locally(outcome: "BuildOutcome", *, offline: bool, activity: "Activity") -> str:
    """Push an image of the local engine unless the registry has it, and return its digest there."""
    from envbuild.image.local.push_memory import PushMemory
    from envbuild.image.push import digest_there
    from envbuild.oci.push import push_image
    from envbuild.oci.reference import parse_reference
    from envbuild.remote.registry.client import RegistryClient
    from envbuild.remote.registry.transport import RegistryTransport
    from envbuild.remote.registry.writer import RegistryWriter

    image, reference = image_of(outcome.reference), parse_reference(outcome.reference)
    transport = RegistryTransport(environment=os.environ)
    registry = RegistryClient(transport=transport)
    there = registry.digest_of(reference)
    if there is not None:
        return there if there == image.descriptor.digest else digest_there(registry, reference, outcome.image)
    activity.on_stage(f"pushing {outcome.reference}")
    memory = PushMemory(cache_folder())
    pushed = push_image(
        image,
        reference,
        writer=RegistryWriter(transport),
        blobs=blobs_of(image, offline=offline),
        mounts={**memory.repositories(reference), **_base_mounts(image, reference)},
        progress=activity,
    )
    memory.note(reference, [layer.digest for layer in image.layers])
    return pushed.digest


def _base_mounts(image: "OciImage", reference: "ImageReference") -> Mapping[str, str]:
    """Return the repository that has the base's layers, where it is one of the same registry."""
    from envbuild.image.local.images import facts_of
    from envbuild.image.local.layers.blobs import base_reference

    base = base_reference(facts_of(image).labels)
    if base is None or base.registry != reference.registry or base.repository == reference.repository:
        return {}
    return {layer.digest: base.repository for layer in image.layers[: image.base_layers]}
