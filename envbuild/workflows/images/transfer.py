"""`envbuild push` and `envbuild pull`: an image from an engine to its registry, and back."""

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from envbuild.errors import EngineError, NotFoundError, UsageError
from envbuild.workflows.engines import ENGINES, EngineName, engine_of
from envbuild.workflows.html import table
from envbuild.workflows.images.registry import (
    find_pushed,
    registry_client,
    require_network,
    require_repository,
)
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import refuse_other
from envbuild.workflows.project import Project, choose_target, fresh_lock

if TYPE_CHECKING:
    from envbuild.image.engine import BuiltImage, Engine
    from envbuild.image.registry_image import RegistryImage
    from envbuild.lock.model import Lock, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """Options of a push or a pull.

    :raises UsageError: a field has a value that it cannot have.
    """

    image: str | None = None
    """``repository:tag`` of another image that envbuild built; None: the lock's own."""

    variant: str | None = None
    platform: str | None = None
    engine: EngineName | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        refuse_other("engine", self.engine, ENGINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """An image that its registry and an engine both have now."""

    verb: Literal["pushed", "pulled"]
    reference: str
    digest: str
    """What the tag names in the registry."""

    engine: str
    moved: bool
    """False: there was nothing to do."""

    size: int
    """Bytes of the image, as the engine counts them."""

    @property
    def pinned(self) -> str:
        """``repository@sha256:…``."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"

    def document(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "reference": self.reference,
            "digest": self.digest,
            "pinned": self.pinned,
            "engine": self.engine,
            self.verb: self.moved,
            "verified": False,
            "size": self.size,
        }

    def _repr_html_(self) -> str:
        """Return the result as an HTML table, for notebooks."""
        rows = (("image", self.pinned), ("engine", self.engine), (self.verb, "yes" if self.moved else "no"))
        return table(f"envbuild {self.verb.removesuffix('ed')}", (), rows)


def push_image(
    project: Project | None, options: TransferOptions | None = None, *, machine: Machine | None = None
) -> TransferResult:
    """Push an image that the engine holds to the registry of its name, unless that has it.

    ``project`` may be None where ``options`` name an image and an engine.

    :raises LockError: there is no lock, or it is out of date with the spec.
    :raises UsageError: there is no repository to push to.
    :raises EngineError: the engine does not hold the image, or does not answer.
    :raises NetworkError: the registry is out of reach, refuses, or its tag names another image.
    """
    options, machine = options or TransferOptions(), machine or Machine()
    require_network(machine, "push")
    chosen = _chosen(project, options, "push to")
    if chosen is None and "/" not in str(options.image):
        raise UsageError(
            f"`{options.image}` names no repository of a registry",
            hint="name it under [image] repository in the spec, lock and build again",
        )
    with closing(engine_of(project, options.engine, machine)) as engine:
        image = _held(chosen, options, engine)
        digest, was_there = _push(image, engine, machine)
        if chosen is not None and not was_there:
            from envbuild.workflows.sources.wheels import push_built_wheels

            push_built_wheels(*chosen, machine)
    return TransferResult(
        verb="pushed",
        reference=image.reference,
        digest=digest,
        engine=engine.name,
        moved=not was_there,
        size=image.facts.size,
    )


def pull_image(
    project: Project | None, options: TransferOptions | None = None, *, machine: Machine | None = None
) -> TransferResult:
    """Bring an image of a registry into the engine, by its digest, unless that holds it.

    Its labels are compared with the lock; what its layers hold is for `envbuild verify` to say.

    :raises LockError: there is no lock, or it is out of date with the spec.
    :raises UsageError: there is no repository to pull from.
    :raises VerificationError: the tag names an image that is not of the lock, or not of envbuild.
    :raises NetworkError: the registry is out of reach, refuses, or has no such image.
    :raises IntegrityError: the registry sent something else than its digests say.
    :raises EngineError: the engine does not answer.
    """
    options, machine = options or TransferOptions(), machine or Machine()
    require_network(machine, "pull")
    chosen = _chosen(project, options, "pull from")
    machine.progress.on_stage("asking the registry")
    if chosen is not None:
        found = find_pushed(*chosen, machine)
    else:
        found = _named(str(options.image), options, machine)
    if found is None:
        from envbuild.image.built_image import image_reference_for

        reference = image_reference_for(*chosen) if chosen is not None else options.image
        raise NotFoundError(
            f"the registry has no image {reference}", hint="`envbuild build --push` builds and pushes it"
        )
    with closing(engine_of(project, options.engine, machine)) as engine:
        facts = engine.find(found.reference)
        is_held = facts is not None and (facts.diff_ids, facts.labels) == (
            found.facts.diff_ids,
            found.facts.labels,
        )
        if facts is None or not is_held:
            facts = engine.pull(found)
    return TransferResult(
        verb="pulled",
        reference=found.reference,
        digest=found.digest,
        engine=engine.name,
        moved=not is_held,
        size=facts.size,
    )


def _chosen(project: Project | None, options: TransferOptions, what: str) -> "tuple[Lock, Target] | None":
    """Return the lock and the target that are meant; None: an image is named instead.

    ``what`` is done with the repository: ``push to``.
    """
    if options.image is not None:
        if options.variant:
            raise UsageError("an IMAGE has its variant", hint="leave --variant out")
        _require_tag(options.image)
        return None
    if project is None:
        raise UsageError("there is neither a spec nor an IMAGE", hint="name one of the two")
    lock = fresh_lock(project, frozen=options.frozen)
    target = choose_target(lock, variant=options.variant, platform=options.platform)
    require_repository(lock, what)
    return lock, target


def _held(chosen: "tuple[Lock, Target] | None", options: TransferOptions, engine: "Engine") -> "BuiltImage":
    """Return the image that is meant, as the engine holds it."""
    from envbuild.image.built_image import held_image, image_reference_for
    from envbuild.image.engine import BuiltImage
    from envbuild.render.labels import TARGET

    if chosen is not None:
        held = held_image(*chosen, engine)
        reference, facts = image_reference_for(*chosen), held.facts if held else None
    else:
        reference = str(options.image)
        facts = engine.find(reference)
        if facts is not None and TARGET not in facts.labels:
            raise EngineError(
                f"{reference} is not an image that envbuild built",
                hint="`docker push` pushes images of other programs",
            )
    if facts is None:
        raise EngineError(
            f"{engine.title} has no image {reference}",
            hint="`envbuild build --push` builds and pushes it" if chosen else "check its name",
        )
    return BuiltImage(reference=reference, facts=facts, built=False)


def _push(image: "BuiltImage", engine: "Engine", machine: Machine) -> tuple[str, bool]:
    """Push an image; return its digest, and whether it was there before."""
    from envbuild.image.push import digest_before_push
    from envbuild.oci.reference import parse_reference
    from envbuild.remote.registry.transport import RegistryTransport

    transport = RegistryTransport(environment=machine.environment)
    was_there = digest_before_push(transport, parse_reference(image.reference)) is not None
    return engine.push(image), was_there


def _require_tag(reference: str) -> None:
    """Return if a reference names a tag.

    :raises UsageError: it names a digest, or nothing but a repository.
    """
    from envbuild.oci.reference import parse_reference

    parsed = parse_reference(reference)
    if parsed.digest or parsed.tag is None or not reference.endswith(f":{parsed.tag}"):
        raise UsageError(
            f"`{reference}` names no tag", hint="write REPOSITORY:TAG, as `envbuild build` printed it"
        )


def _named(reference: str, options: TransferOptions, machine: Machine) -> "RegistryImage | None":
    """Return the image of a reference as its registry has it; without a platform, for this machine's."""
    from envbuild import platforms
    from envbuild.image.registry_image import find_in_registry, require_own_tag
    from envbuild.remote.registry.transport import PATIENT

    if options.platform is not None:
        refuse_other("platform", options.platform, tuple(platforms.PLATFORMS))
        wanted = next(item for item in platforms.PLATFORMS.values() if item.name == options.platform)
    else:
        wanted = platforms.host() or platforms.AMD64
    found = find_in_registry(reference, wanted, registry_client(machine, PATIENT))
    if found is not None:
        require_own_tag(found)
    return found
