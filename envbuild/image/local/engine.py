"""The local engine: assembles images in the cache folder and runs commands in them, with no daemon."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from envbuild.cache.folders import ROOTS
from envbuild.cache.use_lock import use
from envbuild.digest import OciDigest
from envbuild.errors import CommandMissingError, EngineError, Problem, RunError, UsageError
from envbuild.image.built_image import held_image, image_reference_for
from envbuild.image.container_options import ContainerOptions
from envbuild.image.engine import (
    BuildRequest,
    BuiltImage,
    ContainerOutcome,
    EngineCheck,
    EngineImage,
    Feature,
    Rebuild,
    RunRequest,
)
from envbuild.image.facts import ImageFacts
from envbuild.image.gpus import AUTO, NONE, GpuAccess
from envbuild.image.local.images import ImageStore, facts_of
from envbuild.image.local.layers.blobs import BaseBlobs, ImageBlobs, base_reference, is_whole, note_use_of
from envbuild.image.local.roots.private_root import EntryError, PrivateRoot, ProgramEntryError
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer
from envbuild.image.local.stored import list_layers
from envbuild.image.local.user_namespace import acts_as_root
from envbuild.image.stored.image import StoredImage
from envbuild.image.stored.listings import ListingCache
from envbuild.oci.blobs import Blobs, read_verified
from envbuild.oci.image import OciImage
from envbuild.oci.layer import media_type_of
from envbuild.oci.layer_listing import LayerListing
from envbuild.oci.manifest import Descriptor
from envbuild.platforms import Platform
from envbuild.progress import Progress, SilentProgress
from envbuild.render import labels

if TYPE_CHECKING:
    # what runs a command does not wait for an HTTP client
    from envbuild.image.registry_image import RegistryImage
    from envbuild.remote.registry.client import RegistryClient

NAME: Final = "local"

NETWORK_FILES: Final = ("/etc/hosts", "/etc/resolv.conf")
"""Files of this machine that a command with a network is shown: as engines do."""

NO_GPUS: Final = "the local engine gives no GPU to what it runs"


class LocalEngine:
    """Builds, holds, runs and pushes the images of one cache folder."""

    name = NAME
    title = "the local engine"
    features: frozenset[Feature] = frozenset({"compression", "export", "load"})
    is_here = True

    def __init__(
        self,
        cache: Path,
        *,
        environment: Mapping[str, str] = os.environ,
        offline: bool = False,
        gpus: GpuAccess | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Use the images below ``cache``.

        :raises UsageError: GPUs are demanded: it has none to give.
        """
        if gpus is not None and gpus.devices not in {AUTO, NONE}:
            raise UsageError(
                NO_GPUS, hint="use --engine docker; the image is the same after `envbuild build --load`"
            )
        self.withheld = NO_GPUS if gpus is not None and gpus.devices == AUTO else None
        self._cache = cache
        self._environment = environment
        self._offline = offline
        self._progress = progress or SilentProgress()
        self._images = ImageStore(cache)
        self._trees = LayerTrees(cache)

    def require_privileges(self, restart: Callable[[], None]) -> None:
        """Return if this process acts as root; else call ``restart``.

        :raises EngineError: this is no Linux, or this root has too few user ids.
        """
        if not acts_as_root():
            restart()
            raise EngineError("the local engine needs root, and the program was not started again as root")

    def require_options(self, options: ContainerOptions) -> None:
        """Return if commands can have ``options``.

        :raises UsageError: one needs what a daemon alone could give.
        """
        _refuse_options(options)

    def checks(self) -> tuple[EngineCheck, ...]:
        """Return what the engine needs: root or subordinate ids, namespaces, overlay mounts."""
        from envbuild.image.local.preflight import try_engine  # noqa: PLC0415 - `doctor` alone tries it

        return (EngineCheck(name="local engine", look=partial(try_engine, self._cache, self._environment)),)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def find(self, reference: str) -> ImageFacts | None:
        """Return what is known of an image by name or digest; None: there is none, or it lost a layer."""
        image = self._get(reference)
        return None if image is None else facts_of(image)

    def find_target(self, request: BuildRequest) -> BuiltImage | None:
        """Return the image of a target when it is here, whole and compressed as requested."""
        held = held_image(request.lock, request.target, self)
        image = self._get(held.reference) if held else None
        if held is None or image is None:
            return None
        note_use_of(image, self._cache)
        own = image.layers[image.base_layers :]
        wanted = media_type_of(request.compression)
        # an image that was pulled is as its maker compressed it
        if not request.any_engine and (
            held.made_by != self.name or any(layer.media_type != wanted for layer in own)
        ):
            return None
        return BuiltImage(reference=held.reference, facts=held.facts, built=False, content=image)

    def build(self, request: BuildRequest) -> BuiltImage:
        """Assemble the image of a target.

        :raises BuildFailedError: a step failed; its last lines are the detail.
        :raises EngineError: this machine cannot run the steps.
        """
        # a command that finds its image needs none of what makes one
        from envbuild.image.local.assemble import assemble  # noqa: PLC0415

        reference = image_reference_for(request.lock, request.target)
        image = assemble(request, reference, cache=self._cache)
        return BuiltImage(reference=reference, facts=facts_of(image), built=True, content=image)

    def check(self, request: BuildRequest, first: BuiltImage) -> Rebuild:
        """Build the image again, in another process and under other conditions, and compare the two.

        :raises VerificationError: they differ.
        """
        from envbuild.image.local.check import check_local  # noqa: PLC0415 - few builds are checked

        content = self._content(first)
        blobs = self._blobs(content)
        with use(self._cache):
            return check_local(request, first, content, blobs=blobs, environment=self._environment)

    def images(self) -> tuple[EngineImage, ...]:
        """Return the images that are here and whole, each by all its names."""
        found = (
            EngineImage(reference=name, facts=facts_of(image), used=self._images.last_use(name))
            for name, image in self._images.images()
            if is_whole(image, self._cache)
        )
        return tuple(image for image in found if labels.TARGET in image.facts.labels)

    def remove(self, reference: str) -> None:
        """Remove an image by name, with the layers, packed and unpacked, that no other image needs.

        :raises EngineError: there is no such image, or a command runs in it.
        """
        from envbuild.image.local.removal import remove_image  # noqa: PLC0415 - `rm` alone removes images

        remove_image(reference, cache=self._cache)

    def pull(self, image: "RegistryImage") -> ImageFacts:
        """Bring an image of a registry into the cache folder, by digest, and give it its ``reference``.

        :raises NetworkError: the registry refuses or is out of reach.
        :raises IntegrityError: the registry sent something else than its digests say.
        """
        from envbuild.image.local.pull import pull_image  # noqa: PLC0415 - few images are pulled

        self._progress.on_stage(f"pulling {image.reference}")
        return facts_of(
            pull_image(image, registry=self._registry, cache=self._cache, progress=self._progress)
        )

    def push(self, image: BuiltImage) -> str:
        """Push an image unless its registry has it; return its digest there.

        :raises NetworkError: the tag names another image there, or the registry refuses this one.
        """
        from envbuild.image.local.registry import push_built  # noqa: PLC0415 - see above

        content = self._content(image)
        with use(self._cache):
            return push_built(
                image,
                content,
                blobs=self._blobs(content),
                cache=self._cache,
                environment=self._environment,
                progress=self._progress,
            )

    def blobs(self, image: BuiltImage) -> Blobs:
        """Return the layers of an image; those of its base are fetched when they are asked for."""
        return self._blobs(self._content(image))

    def run(self, request: RunRequest) -> ContainerOutcome:
        """Run a command without network in a root of its own, which is then removed.

        :raises LimitExceededError: it went beyond the request's limits.
        :raises EngineError: there is no such image, no private root can be made here, or the command cannot
            be started in it.
        """
        try:
            with self._root(request.image) as (root, facts):
                return root.run(
                    request.command,
                    binds=_written(request.files, root.folder),
                    env={**_variables(facts), **request.env},
                    user=request.user or facts.user or "0",
                    workdir=request.workdir or facts.workdir or "/",
                    limits=request.limits,
                )
        except EntryError as error:
            raise EngineError(error.message) from error

    def run_attached(self, request: RunRequest) -> int:
        """Run a command on this terminal's streams, with this machine's network; return its exit status.

        :raises CommandMissingError: the command cannot be started in the image.
        :raises RunError: there is no such image, or no private root can be made here.
        """
        try:
            return self._run_attached(request)
        except ProgramEntryError as error:
            raise CommandMissingError(error.message) from error
        except EntryError as error:
            raise RunError(error.message) from error
        except EngineError as error:
            raise RunError(error.message, hint=error.hint, detail=error.detail) from error

    def _run_attached(self, request: RunRequest) -> int:
        options = request.options
        with self._root(request.image) as (root, facts):
            feed = None
            if request.archive is not None:
                feed = root.folder / "feed.tar"
                feed.write_bytes(request.archive)
            # root of the user namespace is the caller; without one, it is root itself
            caller = None if options.caller is None else str(options.caller.uid)
            return root.run_attached(
                request.command,
                binds={
                    **{path: Path(path) for path in NETWORK_FILES if Path(path).is_file()},
                    **_written(request.files, root.folder),
                },
                env={**_variables(facts), **request.env},
                user=request.user or caller or facts.user or "0",
                workdir=request.workdir or facts.workdir or "/",
                feed=feed,
                stdin=request.stdin,
                options=options,
            )

    def stored(
        self,
        identifier: str,
        *,
        platform: Platform,  # noqa: ARG002 - of the protocol
        listings: ListingCache,
    ) -> StoredImage | None:
        """Return an image as it is stored; ``platform`` has no part in it, for an ID is of one image.

        Layers that were made here are hashed whenever they are read; those of a base only if they are here.
        """
        image = self._get(identifier)
        if image is None:
            return None
        blobs = self._blobs(image)

        def read(wanted: frozenset[OciDigest]) -> Iterator[LayerListing]:
            with use(self._cache):
                yield from list_layers(image, blobs, wanted, listings)

        return StoredImage(
            source=self.title, digest=image.descriptor.digest, config=image.config, read_layers=read
        )

    def read_file(self, reference: str, path: str, *, limit: int) -> bytes | None:
        """Return the content of a regular file of an image, or None when there is none at ``path``.

        Read from the layers, the topmost first: nothing runs, and nothing is unpacked.

        :raises EngineError: there is no such image, or the file has more than ``limit`` bytes.
        """
        from envbuild.oci.layer_file import read_layer_file  # noqa: PLC0415 - only `diff` reads files

        image = self._image(reference)
        blobs = self._blobs(image)
        layers = [partial(_read, blobs, layer) for layer in image.layers]
        with use(self._cache):
            return read_layer_file(layers, path, limit=limit)

    @contextmanager
    def _root(self, reference: str) -> Iterator[tuple[PrivateRoot, ImageFacts]]:
        image = self._image(reference)
        blobs = self._blobs(image)
        packed = [
            PackedLayer(diff_id, partial(_read, blobs, layer))
            for diff_id, layer in zip(image.diff_ids, image.layers, strict=True)
        ]
        with ExitStack() as held:
            # what is unpacked stays until it is held
            with use(self._cache):
                folders = held.enter_context(self._trees.held(packed))
            root = held.enter_context(PrivateRoot(folders, scratch=ROOTS.path(self._cache)))
            yield root, facts_of(image)

    def _image(self, reference: str) -> OciImage:
        image = self._get(reference)
        if image is None:
            raise EngineError(f"the local engine has no image {reference}", hint="run `envbuild build`")
        return image

    def _get(self, reference: str) -> OciImage | None:
        if reference.startswith("sha256:"):
            found = (image for _, image in self._images.images() if image.descriptor.digest == reference)
            image = next(found, None)
        else:
            image = self._images.get(reference)
        return image if image is not None and is_whole(image, self._cache) else None

    def _content(self, built: BuiltImage) -> OciImage:
        return built.content or self._image(built.reference)

    def _blobs(self, image: OciImage) -> ImageBlobs:
        reference = base_reference(facts_of(image).labels) if image.base_layers else None
        base = None
        if reference is not None:
            base = BaseBlobs(self._cache, reference, registry=lambda: self._registry, offline=self._offline)
        return ImageBlobs(image, cache=self._cache, base=base)

    @cached_property
    def _registry(self) -> "RegistryClient":
        from envbuild.image.local.registry import document_registry  # noqa: PLC0415 - see above

        return document_registry(self._cache, environment=self._environment, offline=self._offline)


def _refuse_options(options: ContainerOptions) -> None:
    """Return if the engine can keep all of ``options``.

    :raises UsageError: it cannot; each is named with what to do instead.
    """
    problems = [
        Problem(f"--publish {port}", "the command has this machine's network, at its own ports", hint)
        for port in options.ports
        if port.address is not None or port.host not in {None, port.container}
        for hint in ["leave it out: the command chooses address and port that it listens on"]
    ]
    if options.network not in {None, "none", "host"}:
        problems.append(
            Problem(
                f"--network {options.network}",
                "the engine has no networks of its own",
                "none or host (this machine's own, the default)",
            )
        )
    problems += [
        Problem(
            option,
            "limits need a control group, which most users may not make",
            f"`systemd-run --user --scope -p {setting} envbuild run ...`, or the limits of your scheduler",
        )
        for option, value, setting in (
            ("--memory", options.memory, f"MemoryMax={options.memory}"),
            ("--cpus", options.cpus, f"CPUQuota={round((options.cpus or 0) * 100)}%"),
        )
        if value is not None
    ]
    if problems:
        raise UsageError(
            "the local engine has no daemon that could do this",
            problems=problems,
            hint="--engine docker has these options",
        )


def _read(blobs: Blobs, layer: Descriptor) -> Iterator[bytes]:
    return read_verified(blobs.path(layer), layer)


def _written(files: Mapping[str, bytes], folder: Path) -> dict[str, Path]:
    """Write ``files`` below ``folder`` under names of their own; return each by the path it is shown at."""
    written = {}
    for number, (path, content) in enumerate(sorted(files.items())):
        written[path] = folder / str(number)
        written[path].write_bytes(content)
        written[path].chmod(0o644)
    return written


def _variables(facts: ImageFacts) -> dict[str, str]:
    return dict(variable.partition("=")[::2] for variable in facts.env)
