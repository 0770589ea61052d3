"""`envbuild build`: the image of a lock, and what is done with it."""

from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from envbuild.errors import UsageError
from envbuild.workflows.engines import ENGINES, EngineName, engine_of, require_privileges_for
from envbuild.workflows.html import table
from envbuild.workflows.image_requests import Compression, held_or_built, image_request
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import outputs_of, refuse_other
from envbuild.workflows.project import Project, choose_target, fresh_lock
from envbuild.workflows.sources.wheels import (
    provide_built_wheels,
    push_built_wheels,
    target_artifacts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from envbuild.image.docker.load import Loaded
    from envbuild.image.engine import BuildRequest, BuiltImage, Engine, ImageOutput, Rebuild
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

    engine: EngineName | None = None
    """None: the one of ``ENVBUILD_ENGINE``, else of the spec, else docker."""

    use_cache: bool = True
    """False: run every step, and build even when the image exists."""

    pull: bool = False
    """Take the image from its registry when that has it; with ``use_cache`` alone."""

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
    """Digest in the registry."""

    @property
    def reference(self) -> str:
        """``repository:tag``."""
        return self.image.reference

    @property
    def built(self) -> bool:
        """Whether the image was built now; else the engine held it."""
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
            ("pushed", self.pushed or "no"),
        )
        return table("envbuild build", (), rows)


def build_image(
    project: Project, options: BuildOptions | None = None, *, machine: Machine | None = None
) -> BuildResult:
    """Build the image of a project's lock, unless the engine holds it; then do what ``options`` ask for.

    :raises LockError: there is no lock, or it is out of date with the spec.
    :raises UsageError: the options contradict each other or the engine.
    :raises EngineError: the engine is missing, too old, or refuses.
    :raises BuildFailedError: a step failed; its last lines are the detail.
    :raises VerificationError: with ``check``, the second build gave another image.
    """
    options, machine = options or BuildOptions(), machine or Machine()
    lock = fresh_lock(project, frozen=options.frozen)
    target = choose_target(lock, variant=options.variant, platform=options.platform)
    with closing(engine_of(project, options.engine, machine)) as engine:
        _refuse_contradictions(lock, engine, options, machine)
        return _build(lock, target, engine, options, machine)


def _build(
    lock: "Lock", target: "Target", engine: "Engine", options: BuildOptions, machine: Machine
) -> BuildResult:
    if options.pull:
        _pull(lock, target, engine, machine)
    request = build_request(
        lock,
        target,
        machine,
        use_cache=options.use_cache,
        # a pulled image may be another engine's: it is the same environment
        any_engine=options.pull,
        compression=options.compression,
    )
    image = ensure_image(request, engine, machine, check=options.check)
    checked = engine.check(request, image) if options.check else None
    outputs = outputs_of("outputs", options.outputs)
    for output in outputs:
        _write(image, output, engine, machine)
    loaded = _load(image, engine, machine) if options.load else None
    pushed = engine.push(image) if options.push else None
    if pushed is not None:
        push_built_wheels(lock, target, machine)
    return BuildResult(
        image=image,
        engine=engine.name,
        variant=target.variant,
        platform=target.platform,
        checked=checked,
        outputs=outputs,
        loaded=loaded,
        pushed=pushed,
    )


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
    request: "BuildRequest", engine: "Engine", machine: Machine, *, check: bool = False
) -> "BuiltImage":
    """Return the image of a target, built when ``engine`` does not hold it or nothing may be reused.

    ``check`` says that the image will be built once more, which needs the same privileges.
    """
    return held_or_built(
        request,
        engine,
        machine,
        check=check,
        # by the engine that is open: another one may not be there
        prepare=lambda: provide_built_wheels(request.lock, request.target, engine, machine),
    )


def _refuse_contradictions(lock: "Lock", engine: "Engine", options: BuildOptions, machine: Machine) -> None:
    """Return if the options go together.

    :raises UsageError: they do not.
    """
    if options.push and not lock.request.repository:
        raise UsageError(
            "there is nowhere to push to", hint="name `repository` under [image] in the spec and lock again"
        )
    wanted = {"export": options.outputs, "load": options.load, "compression": options.compression != "zstd"}
    if any(asked and feature not in engine.features for feature, asked in wanted.items()):
        raise UsageError(
            "--output, --load and --compression are the local engine's",
            hint="use --engine local, or `docker save` for an image of the docker engine",
        )
    if options.pull and "pull" not in engine.features:
        raise UsageError(
            "--pull brings an image into the docker engine",
            hint="the local engine has nothing to gain: it keeps its layers, and shares them between images",
        )
    if options.pull and not options.use_cache:
        raise UsageError(
            "--pull takes an image that is there, and --no-cache builds all again",
            hint="leave one of the two out",
        )
    for option, asked in (("--pull", options.pull), ("--push", options.push)):
        if asked and machine.offline:
            raise UsageError(f"{option} asks a registry, and --offline asks nobody")


def _pull(lock: "Lock", target: "Target", engine: "Engine", machine: Machine) -> None:
    """Bring a target's image into the engine from its registry, if that has it and the engine lacks it."""
    from envbuild.image.built_image import held_image, image_reference_for

    if not lock.request.repository:
        # no error: pipelines and `--all` ask for every lock, whether it is ever pushed or not
        machine.progress.on_note("there is nothing to pull: the spec names no `repository` under [image]")
    elif held_image(lock, target, engine) is None:
        reference = image_reference_for(lock, target)
        machine.progress.on_stage(f"asking the registry for {reference}")
        engine.pull(reference)


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
