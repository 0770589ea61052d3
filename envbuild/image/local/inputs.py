"""What an image is assembled of, fetched when the build asks for it."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from envbuild.errors import IntegrityError
from envbuild.formats.compression import codec_of
from envbuild.image.engine import BuildRequest
from envbuild.image.local.build import BuildInputs
from envbuild.image.local.layers.blobs import BaseBlobs
from envbuild.image.local.registry import document_registry
from envbuild.lock.model import ImageSource, Wheel
from envbuild.oci.base import BaseImage, read_base_image
from envbuild.oci.reference import parse_reference
from envbuild.platforms import PLATFORMS
from envbuild.render.recipe import carried_files
from envbuild.store.artifact import Artifact
from envbuild.store.target_artifacts import TargetArtifacts


def build_inputs(
    request: BuildRequest,
    layers: Path,
    *,
    workers: int | None = None,
    arrange: Callable[[Sequence[Wheel]], Sequence[Wheel]] | None = None,
) -> BuildInputs:
    """Return what the image of a target is assembled of.

    ``layers`` is the folder that its layers go to: the cache folder, or an empty one when nothing of the
    cache may be reused.  ``workers`` and ``arrange`` are for a second build, which varies them.

    :raises IntegrityError: the registry's image is not the base that was locked.
    """
    artifacts = request.artifacts
    lock, target = request.lock, request.target
    source = lock.base(target).image
    options: dict[str, Any] = {} if arrange is None else {"arrange": arrange}
    return BuildInputs(
        cache=layers,
        codec=codec_of(request.compression),
        artifact=_OtherPackages(artifacts).path,
        open_wheel=lambda wheel: artifacts.store.open_verified(wheel.sha256),
        fetch_wheels=lambda wheels: artifacts.fetch([artifacts.by_sha256[item.sha256] for item in wheels]),
        carried=carried_files(lock, target, probe=request.probe()),
        base=_base(source, artifacts) if source else None,
        workers=workers,
        progress=artifacts.progress,
        **options,
    )


class _OtherPackages:
    """The packages of a target that are no wheels of its environment, fetched a kind at a time.

    One kind makes the base; the other is conda packages and the wheel of their installer.
    """

    def __init__(self, artifacts: TargetArtifacts) -> None:
        self._artifacts = artifacts
        self._lock = threading.Lock()
        self._fetched: set[bool] = set()

    def path(self, sha256: str) -> Path:
        """Return the verified file of a digest."""
        known = self._artifacts.by_sha256
        of_base = self._is_of_base(known[sha256])
        with self._lock:
            if of_base not in self._fetched:
                alike = [item for item in known.values() if self._is_of_base(item) is of_base]
                self._artifacts.fetch(
                    [item for item in alike if item.kind != "wheel" or item.filename == self._installer]
                )
                self._fetched.add(of_base)
        # fetching compares sizes only
        self._artifacts.store.open_verified(sha256).close()
        return self._artifacts.store.place_of(sha256)

    @property
    def _installer(self) -> str | None:
        installer = self._artifacts.target.conda_installer
        return installer.wheel if installer else None

    @staticmethod
    def _is_of_base(artifact: Artifact) -> bool:
        return artifact.kind in {"deb", "python"}


def _base(source: ImageSource, artifacts: TargetArtifacts) -> tuple[BaseImage, BaseBlobs]:
    """Return what an image takes over from its base, and where that has its layers."""
    cache, offline = artifacts.store.folder, artifacts.offline
    reference = parse_reference(source.reference).at(source.digest)
    registry = document_registry(cache, environment=artifacts.environment, offline=offline)
    image = registry.resolve(reference, PLATFORMS[artifacts.target.platform])
    if image.config_digest != source.config or image.config.diff_ids != source.diff_ids:
        raise IntegrityError(
            f"{reference.familiar} is not the base that was locked", hint="run `envbuild lock` again"
        )
    artifacts.progress.on_stage(f"reading {source.reference}")
    blobs = BaseBlobs(cache, reference, registry=lambda: registry, offline=offline)
    return read_base_image(image.config.document, image.layers), blobs
