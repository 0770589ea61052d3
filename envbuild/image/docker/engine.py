"""The Docker Engine as an engine of envbuild: BuildKit builds, Docker's Python SDK does everything else."""

import os
from collections.abc import Callable, Mapping
from typing import Final

from envbuild.cache.location import cache_folder
from envbuild.errors import BuildFailedError, EngineError
from envbuild.image.built_image import held_image, image_reference_for, is_image_of
from envbuild.image.docker.connection import cleaned_up
from envbuild.image.docker.containers import DockerContainers
from envbuild.image.engine import BuildRequest, BuiltImage, EngineCheck, Feature, Rebuild
from envbuild.image.facts import ImageFacts
from envbuild.image.gpus import GpuAccess
from envbuild.image.push import push_once
from envbuild.image.registry_image import RegistryImage
from envbuild.image.stored.image import StoredImage
from envbuild.image.stored.listings import ListingCache
from envbuild.lock.identity import target_digest
from envbuild.platforms import Platform
from envbuild.progress import Progress, SilentProgress

NAME: Final = "docker"

CHECK_NOTES: Final = (
    "the engine's clock, and the order it works in, are its own and were not varied",
    "another version of the engine may give another digest for the same files; --engine local gives the same",
)


class DockerEngine(DockerContainers):
    """Builds, holds, runs and pushes images on the Docker Engine that the environment names."""

    name = NAME
    title = "the engine"
    features: frozenset[Feature] = frozenset({"gpus"})

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        gpus: GpuAccess | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Use the engine that ``environment`` points at; it is not spoken to yet."""
        super().__init__(environment, gpus=gpus)
        self._progress = progress or SilentProgress()

    def require_privileges(self, restart: Callable[[], None]) -> None:
        """Do nothing: the engine has the privileges."""

    def checks(self) -> tuple[EngineCheck, ...]:
        """Return what the engine needs: that it answers, and a client that builds with it."""
        return (
            EngineCheck(name="Docker Engine", look=self.describe),
            EngineCheck(name="buildx", look=self.describe_builder),
        )

    def find_target(self, request: BuildRequest) -> BuiltImage | None:
        """Return the image of a target when the engine holds it.

        :raises EngineError: the engine does not answer.
        """
        held = held_image(request.lock, request.target, self)
        if held is None or not (request.any_engine or held.made_by == self.name):
            return None
        return BuiltImage(reference=held.reference, facts=held.facts, built=False)

    def build(self, request: BuildRequest) -> BuiltImage:
        """Build the image of a target.

        :raises EngineError: no engine, no buildx, or an engine too old.
        :raises BuildFailedError: a step failed, or the engine lost the image.
        """
        return self._build_as(request, image_reference_for(request.lock, request.target))

    def check(self, request: BuildRequest, first: BuiltImage) -> Rebuild:
        """Build the image again without the engine's cache and compare the two.

        :raises VerificationError: they differ.
        :raises EngineError: the engine does not answer, or refuses.
        :raises BuildFailedError: a step failed this time.
        """
        from envbuild.image.docker.check import differences_of  # noqa: PLC0415 - few builds are checked

        again = f"{first.reference}-again"
        with cleaned_up(lambda: self.discard(again)):
            self._progress.on_stage("building again, without cache")
            second = self._build_as(request, again, use_cache=False)
            if second.facts.identifier != first.facts.identifier:
                self._progress.on_stage("comparing the two images")
                raise differences_of(self, first.reference, again, store=request.artifacts.store)
        return Rebuild(varied=("run of every step, and from another folder",), notes=CHECK_NOTES)

    def pull(self, image: RegistryImage) -> ImageFacts:
        """Pull an image by the digest of its manifest, and keep it as its ``reference``.

        :raises NetworkError: the registry refuses or is out of reach.
        :raises EngineError: the engine does not answer, or holds another image afterwards.
        """
        self._progress.on_stage(f"pulling {image.reference}")
        self.pull_digest(image.reference, image.manifest, progress=self._progress)
        facts = self.find(image.reference)
        if facts is None or facts.diff_ids != image.facts.diff_ids or facts.labels != image.facts.labels:
            raise EngineError(
                f"the engine pulled {image.pinned} but does not hold it as {image.reference}",
                hint="another command may have taken the name at the same moment; try again",
            )
        return facts

    def push(self, image: BuiltImage) -> str:
        """Push an image unless its registry has it; return its digest there.

        :raises NetworkError: the tag names another image there, or the registry refuses this one.
        """
        self._progress.on_stage(f"pushing {image.reference}")
        return push_once(
            self, image.reference, image.facts, environment=self.environment, progress=self._progress
        )

    def blobs(self, image: BuiltImage) -> None:
        """Return None: the engine keeps the layers to itself."""

    def stored(self, identifier: str, *, platform: Platform, listings: ListingCache) -> StoredImage | None:
        """Return an image as it is stored, by the engine's ID; None: it holds no such image.

        :raises EngineError: the engine does not answer, or what it writes out is not the image of that ID.
        """
        from envbuild.image.docker.stored import stored_in_engine  # noqa: PLC0415 - few images are read

        if self.find(identifier) is None:
            return None
        return stored_in_engine(
            self,
            identifier,
            platform=platform,
            cache=cache_folder(self.environment),
            listings=listings,
            progress=self._progress,
        )

    def _build_as(
        self, request: BuildRequest, reference: str, *, use_cache: bool | None = None
    ) -> BuiltImage:
        # an image that is found needs neither Jinja nor a reader of packages
        from envbuild.image.docker.build import build_context, build_with_buildx  # noqa: PLC0415

        with build_context(request, self._progress) as context:
            self.describe()
            self.describe_builder()
            build_with_buildx(
                context,
                reference,
                environment=self.environment,
                use_cache=request.use_cache if use_cache is None else use_cache,
                progress=self._progress,
            )
        facts = self.find(reference)
        if facts is None or not is_image_of(facts, target_digest(request.lock, request.target)):
            raise BuildFailedError(
                f"the engine built {reference} but does not hold it",
                hint="it may be short of disk space, or another build took the name at the same moment",
            )
        return BuiltImage(reference=reference, facts=facts, built=True)
