"""`envbuild build`: the image of a lock, and what is done with it."""

from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from envbuild.errors import UsageError
from envbuild.workflows.engines import ENGINES, EngineName, choose_engine, engine_of, require_privileges_for
from envbuild.workflows.html import table
from envbuild.workflows.image_requests import Compression, held_or_built, image_request
from envbuild.workflows.images.registry import (
    RegistryAnswer,
    ask_registry,
    find_pushed,
    pull_pushed,
    require_network,
    require_repository,
)
from envbuild.workflows.lock import lock_to_use, refuse_frozen_update
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import outputs_of, refuse_other
from envbuild.workflows.project import Project, choose_target
from envbuild.workflows.sources.wheels import (
    provide_built_wheels,
    push_built_wheels,
    target_artifacts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from envbuild.image.docker.load import Loaded
    from envbuild.image.engine import BuildRequest, BuiltImage, Engine, ImageOutput, Rebuild
    from envbuild.image.registry_image import RegistryImage
    from envbuild.lock.model import Lock, Target
    from envbuild.oci.blobs import Blobs
    from envbuild.oci.image import OciImage
    from envbuild.workflows.many import ProjectResult


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Options of a build.

    :raises UsageError: a field has a value that it cannot have.
    """

    variant: str | None = None
    """None: the spec's default."""

    platform: str | None = None
    """Such as ``linux/amd64``; None: this machine's, or the only one there is."""

    frozen: bool = False
    """Use the lock without comparing it with the spec."""

    lock: bool = False
    """Bring a lock that is missing or out of date up to date first."""

    engine: EngineName | None = None
    """None: the one of ``ENVBUILD_ENGINE``, else of the spec, else docker."""

    use_cache: bool = True
    """False: run every step, and build even when the image exists."""

    pull: bool = False
    """Bring the image into the engine from its registry when that has it; with ``use_cache`` alone."""

    verify: bool = False
    """Where the registry has the image, read it there and compare it with the lock first."""

    outputs: "tuple[ImageOutput | str, ...]" = ()
    """Folders and archives to write the image to; texts such as ``oci:FOLDER`` and ``archive:FILE`` are read
    when the options are made."""

    load: bool = False
    """Give the image to the Docker Engine."""

    push: bool = False
    """Push the image to ``[image] repository``."""

    check: bool = False
    """Build a second time under other conditions and compare."""

    compression: Compression = "zstd"

    def __post_init__(self) -> None:
        refuse_frozen_update(frozen=self.frozen, update=self.lock)
        refuse_other("engine", self.engine, ENGINES)
        refuse_other("compression", self.compression, get_args(Compression))
        object.__setattr__(self, "outputs", outputs_of("outputs", self.outputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """The image of a target, and what was done with it."""

    image: "BuiltImage"
    engine: str
    variant: str
    platform: str
    checked: "Rebuild | None" = None
    outputs: "tuple[ImageOutput, ...]" = ()
    loaded: "Loaded | None" = None
    pushed: str | None = None
    """Digest in the registry, where it was to be pushed; also of an image that was there already."""

    in_registry: bool | None = None
    """Whether the registry has the image now; None: it was not asked, or did not answer."""

    digest: str | None = None
    """What the tag names in the registry."""

    was_in_registry: bool = False
    """Whether the registry had the image before, so that nothing was built or pushed."""

    held: bool = True
    """Whether the engine holds the image; False: it is in the registry, and nobody asked for more."""

    verdict: str | None = None
    """What was found when the image in the registry was compared with the lock; None: nobody asked."""

    @property
    def verified(self) -> bool:
        """Whether the image in the registry was compared with the lock now."""
        return self.verdict is not None

    @property
    def pinned(self) -> str | None:
        """``repository@sha256:…`` in the registry, if it is there."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}" if self.digest else None

    @property
    def reference(self) -> str:
        """``repository:tag``."""
        return self.image.reference

    @property
    def built(self) -> bool:
        """Whether the image was built now; else the engine or the registry had it."""
        return self.image.built

    @property
    def target(self) -> str:
        """Digest of the target the image says it was built from: ``sha256:…``."""
        from envbuild.render.labels import TARGET

        return self.image.facts.labels[TARGET]

    def document(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "reference": self.reference,
            "engine": self.engine,
            "image": self.image.facts.identifier,
            "built": self.built,
            "held": self.held,
            "in-registry": self.in_registry,
            "digest": self.digest,
            "verified": self.verified,
            "checked": list(self.checked.varied) if self.checked else None,
            "outputs": [str(output) for output in self.outputs],
            "loaded": {"way": self.loaded.way, "size": self.loaded.size} if self.loaded else None,
            "pushed": self.pushed,
            "size": self.image.facts.size,
            "target": self.target,
            "variant": self.variant,
            "platform": self.platform,
        }

    def _repr_html_(self) -> str:
        """Return the result as an HTML table, for notebooks."""
        rows = (
            ("image", self.reference),
            ("ID", self.image.facts.identifier),
            ("engine", self.engine),
            ("target", f"{self.variant} on {self.platform}"),
            ("built now", "yes" if self.built else "no"),
            ("in the registry", self.digest or ("unknown" if self.in_registry is None else "no")),
            ("verified", "yes" if self.verified else "no"),
            ("pushed", self.pushed or "no"),
        )
        return table("envbuild build", (), rows)


def build_image(
    project: Project, options: BuildOptions | None = None, *, machine: Machine | None = None
) -> BuildResult:
    """Build the image of a project's lock, unless its registry or the engine has it.

    Then what ``options`` ask for is done with it.  The registry is asked first where the spec names a
    repository.  What it has is not fetched unless ``pull`` says so.

    :raises LockError: there is no lock, or it is out of date with the spec.
    :raises UsageError: the options contradict each other or the engine.
    :raises NetworkError: the registry is needed and does not answer, or refuses.
    :raises EngineError: the engine is missing, too old, or refuses.
    :raises BuildFailedError: a step failed; its last lines are the detail.
    :raises VerificationError: with ``check``, the second build gave another image; the tag names another
        image in the registry; or with ``verify``, the image there differs from the lock.
    """
    options, machine = options or BuildOptions(), machine or Machine()
    lock = lock_to_use(project, frozen=options.frozen, update=options.lock, command="build", machine=machine)
    target = choose_target(lock, variant=options.variant, platform=options.platform)
    _refuse_contradictions(lock, options, machine)
    if _needs_features(options):
        with closing(engine_of(project, options.engine, machine)) as engine:
            _refuse_missing_features(engine, options)
    answer, verdict = _ask_registry(lock, target, options, machine), None
    pushed = answer.image
    if pushed is not None and options.verify:
        from envbuild.workflows.verification.pushed import verify_pushed

        verdict = verify_pushed(pushed, lock, target, machine)
    if pushed is not None and not options.pull and not _needs_layers(options):
        # no engine is asked: the daemon of one need not even run
        return _result(
            _as_built(pushed),
            choose_engine(options.engine, project, machine.environment),
            target,
            answer,
            pushed=pushed.digest if options.push else None,
            held=False,
            verdict=verdict,
        )
    with closing(engine_of(project, options.engine, machine)) as engine:
        return replace(_build(lock, target, engine, options, machine, answer=answer), verdict=verdict)


def _build(
    lock: "Lock",
    target: "Target",
    engine: "Engine",
    options: BuildOptions,
    machine: Machine,
    *,
    answer: RegistryAnswer,
) -> BuildResult:
    if options.pull:
        _pull(lock, target, engine, machine, answer.image)
    request = build_request(
        lock,
        target,
        machine,
        use_cache=options.use_cache,
        # a pulled image may be another engine's: it is the same environment
        any_engine=options.pull,
        compression=options.compression,
    )
    image = ensure_image(request, engine, machine, check=options.check, may_pull=False)
    checked = engine.check(request, image) if options.check else None
    outputs = outputs_of("outputs", options.outputs)
    for output in outputs:
        _write(image, output, engine, machine)
    loaded = _load(image, engine, machine) if options.load else None
    pushed = engine.push(image) if options.push else None
    if pushed is not None:
        push_built_wheels(lock, target, machine)
    result = _result(image, engine.name, target, answer, checked=checked, outputs=outputs, loaded=loaded)
    return replace(result, pushed=pushed, digest=pushed, in_registry=True) if pushed is not None else result


def _result(
    image: "BuiltImage", engine: str, target: "Target", answer: RegistryAnswer, **fields: Any
) -> BuildResult:
    return BuildResult(
        image=image,
        engine=engine,
        variant=target.variant,
        platform=target.platform,
        in_registry=answer.image is not None if answer.answered else None,
        was_in_registry=answer.image is not None,
        digest=answer.image.digest if answer.image else None,
        **fields,
    )


def _as_built(found: "RegistryImage") -> "BuiltImage":
    """Return an image of a registry as engines return those they hold."""
    from envbuild.image.engine import BuiltImage

    return BuiltImage(reference=found.reference, facts=found.facts, built=False)


def build_images(
    projects: "Sequence[Project]", options: BuildOptions | None = None, *, machine: Machine | None = None
) -> "tuple[ProjectResult[BuildResult], ...]":
    """Build the images of several projects side by side; one that fails does not stop the others.

    :raises UsageError: ``options`` write the image to one file or folder.
    :raises EngineError: this machine and user allow no such engine.
    """
    from envbuild.workflows.many import for_each_project

    options, machine = options or BuildOptions(), machine or Machine()
    if options.outputs:
        raise UsageError("--output names one place, and --all builds many images")
    require_privileges_for(projects, options.engine, machine)
    return for_each_project(
        projects, lambda project, own: build_image(project, options, machine=own), machine=machine
    )


def build_request(
    lock: "Lock",
    target: "Target",
    machine: Machine,
    *,
    use_cache: bool = True,
    any_engine: bool = False,
    compression: Compression = "zstd",
) -> "BuildRequest":
    """Return a target as engines are asked to build it; wheels that are missing are built from source."""
    request = image_request(
        lock, target, machine, use_cache=use_cache, any_engine=any_engine, compression=compression
    )
    return replace(request, artifacts=target_artifacts(lock, target, machine))


def ensure_image(
    request: "BuildRequest",
    engine: "Engine",
    machine: Machine,
    *,
    check: bool = False,
    may_pull: bool = True,
) -> "BuiltImage":
    """Return the image of a target, which is pulled or built when ``engine`` does not hold it.

    It is pulled where any engine's will do, and its registry has it.  When nothing may be reused it is built.
    ``check`` says that the image will be built once more, which needs the same privileges.
    """
    if may_pull and request.use_cache and request.any_engine and not check:
        found = engine.find_target(request) or pull_pushed(request, engine, machine)
        if found is not None:
            return found
    return held_or_built(
        request,
        engine,
        machine,
        check=check,
        # by the engine that is open: another one may not be there
        prepare=lambda: provide_built_wheels(request.lock, request.target, engine, machine),
    )


def _refuse_contradictions(lock: "Lock", options: BuildOptions, machine: Machine) -> None:
    """Return if the options go together.

    :raises UsageError: they do not.
    """
    for option, asked in (("--pull", options.pull), ("--push", options.push), ("--verify", options.verify)):
        if asked:
            require_network(machine, option)
    if options.push:
        require_repository(lock, "push to")
    if options.verify:
        require_repository(lock, "verify an image in")
    for option, asked in (("--pull takes", options.pull), ("--verify reads", options.verify)):
        if asked and not options.use_cache:
            raise UsageError(
                f"{option} an image that is there, and --no-cache builds all again",
                hint="leave one of the two out",
            )


def _needs_features(options: BuildOptions) -> bool:
    """Return whether not every engine can do what is asked."""
    return bool(options.outputs) or options.load or options.compression != "zstd"


def _refuse_missing_features(engine: "Engine", options: BuildOptions) -> None:
    """Return if ``engine`` can do what is asked.

    :raises UsageError: it cannot.
    """
    wanted = {"export": options.outputs, "load": options.load, "compression": options.compression != "zstd"}
    if any(asked and feature not in engine.features for feature, asked in wanted.items()):
        raise UsageError(
            "--output, --load and --compression are the local engine's",
            hint="use --engine local, or `docker save` for an image of the docker engine",
        )


def _needs_layers(options: BuildOptions) -> bool:
    """Return whether something is to be done with an image that its engine must hold."""
    return bool(options.outputs) or options.load or options.check


def _requires_registry(options: BuildOptions) -> bool:
    """Return whether there is no going on without the registry."""
    return options.pull or options.push or options.verify


def _ask_registry(lock: "Lock", target: "Target", options: BuildOptions, machine: Machine) -> RegistryAnswer:
    """Return what the registry says of the image, where there is a reason to ask.

    :raises VerificationError: the tag names another image there.
    :raises NetworkError: the registry is needed, and does not answer or refuses.
    """
    if not options.use_cache or not lock.request.repository:
        return RegistryAnswer()
    if _requires_registry(options):
        machine.progress.on_stage("asking the registry")
        return RegistryAnswer(find_pushed(lock, target, machine, pushes=options.push), answered=True)
    return RegistryAnswer() if _needs_layers(options) else ask_registry(lock, target, machine)


def _pull(
    lock: "Lock", target: "Target", engine: "Engine", machine: Machine, found: "RegistryImage | None"
) -> None:
    """Bring a target's image into the engine from its registry, if that has it and the engine lacks it."""
    from envbuild.image.built_image import held_image

    if not lock.request.repository:
        # no error: pipelines and `--all` ask for every lock, whether it is ever pushed or not
        machine.progress.on_note("there is nothing to pull: the spec names no `repository` under [image]")
    elif found is not None and held_image(lock, target, engine) is None:
        engine.pull(found)


def _write(image: "BuiltImage", output: "ImageOutput", engine: "Engine", machine: Machine) -> None:
    """Write an image to where ``output`` says."""
    from envbuild.oci.archive import write_archive
    from envbuild.oci.layout import write_layout

    machine.progress.on_stage(f"writing {output}")
    write = write_layout if output.kind == "oci" else write_archive
    with _held(image, engine, machine) as (content, blobs):
        write(content, image.reference, output.path, blobs=blobs, progress=machine.progress)


def _load(image: "BuiltImage", engine: "Engine", machine: Machine) -> "Loaded":
    """Make the Docker Engine hold an image of another engine, sending only what it lacks."""
    from envbuild.image.docker.engine import DockerEngine
    from envbuild.image.docker.load import load_image

    machine.progress.on_stage(f"loading {image.reference}")
    with (
        _held(image, engine, machine) as (content, blobs),
        closing(DockerEngine(machine.environment)) as docker,
    ):
        return load_image(docker, content, image.reference, blobs=blobs, progress=machine.progress)


@contextmanager
def _held(image: "BuiltImage", engine: "Engine", machine: Machine) -> "Iterator[tuple[OciImage, Blobs]]":
    """Yield the documents and the layers of an image of this machine's; nothing is pruned meanwhile."""
    from envbuild.cache.use_lock import use

    content, blobs = image.content, engine.blobs(image)
    assert content is not None, "engines with the features `export` and `load` return it"  # noqa: S101
    assert blobs is not None, "and the layers"  # noqa: S101
    with use(machine.cache):
        yield content, blobs
