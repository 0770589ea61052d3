"""`envbuild status`: whether locks, images and bases are up to date."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from envbuild.errors import EngineError, EnvbuildError, LockMissingError, Problem, SpecError, UsageError
from envbuild.workflows.engines import ENGINES, EngineName, engine_of
from envbuild.workflows.html import table
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import refuse_other
from envbuild.workflows.project import Project, read_project_lock

if TYPE_CHECKING:
    from envbuild.image.engine import ImageHolder
    from envbuild.lock.model import Base, Lock, Target

LockState = Literal["there", "no lock", "unreadable", "spec unreadable"]
"""``spec unreadable``: nobody can say what the lock, good or not, should answer."""

ImageState = Literal["built", "not built", "older format", "unknown"]
"""``older format``: an earlier release built it in an earlier recipe format."""

BaseState = Literal["as locked", "moved", "gone", "from packages", "not asked", "unknown"]

_COLUMNS = ("target", "image", "image state", "base", "base state")

DigestOf = Callable[[str], str | None]
"""Returns the digest an image reference names in its registry now; None: nothing of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions:
    """Options of a status.

    :raises UsageError: a field has a value that it cannot have.
    """

    engine: EngineName | None = None
    remote: bool = False
    """Ask registries too: whether images are pushed, and whether bases have moved.  Else nothing is sent.
    A machine that is offline cannot."""

    def __post_init__(self) -> None:
        refuse_other("engine", self.engine, ENGINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStatus:
    """The state of one target."""

    variant: str
    platform: str
    reference: str

    lock_state: LockState = "there"
    """Unless it is ``there``, nothing else is known."""

    stale: tuple[Problem, ...]
    """The fields in which the lock is out of date; the same for all targets of a lock."""

    engine: str | None = None
    """The engine that was asked."""

    image_state: ImageState
    made_by: str | None = None
    """The engine that built the image; a loaded or pulled image may be another engine's."""

    pushed: str | None
    """Digest in the registry of `[image] repository`; None: not there, no repository, or not asked."""

    base: str
    """Reference, or the distribution."""

    base_state: BaseState
    why: str | None = None
    """Why something is unknown."""

    @property
    def built(self) -> bool | None:
        """Whether the engine holds the image; None: it could not be asked."""
        return None if self.image_state == "unknown" else self.image_state == "built"

    @property
    def drifted(self) -> bool:
        """Whether locking again today would give another lock, as far as is known without doing so."""
        return self.lock_state != "there" or bool(self.stale) or self.base_state in {"moved", "gone"}

    def document(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        is_there = self.lock_state == "there"
        return {
            "variant": self.variant if is_there else None,
            "platform": self.platform if is_there else None,
            "reference": self.reference if is_there else None,
            "lock": self.lock_state,
            "stale": [str(problem) for problem in self.stale],
            "engine": self.engine,
            "image": self.image_state if is_there else None,
            "made-by": self.made_by,
            "built": self.built,
            "pushed": self.pushed,
            "base": {"reference": self.base, "state": self.base_state} if is_there else None,
            "drifted": self.drifted,
            "unknown-because": self.why,
        }


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """The state of all targets of one project."""

    project: Project
    targets: tuple[TargetStatus, ...]

    @property
    def drifted(self) -> bool:
        """Whether a target has drifted; see :attr:`TargetStatus.drifted`."""
        return any(target.drifted for target in self.targets)

    def document(self) -> list[dict[str, Any]]:
        """Return the state as JSON values, one object for each target."""
        return [{"spec": self.project.label, **target.document()} for target in self.targets]

    def _repr_html_(self) -> str:
        """Return the state as an HTML table, for notebooks."""
        rows = [
            (
                f"{item.variant} on {item.platform}",
                item.reference,
                item.image_state,
                item.base,
                item.base_state,
            )
            for item in self.targets
        ]
        return table(f"status of {self.project.label}", _COLUMNS, rows)


def project_status(
    project: Project, options: StatusOptions | None = None, *, machine: Machine | None = None
) -> ProjectStatus:
    """Return the state of each target of a project's lock.

    What cannot be reached is unknown, never an error: a laptop on a train has a status too.

    :raises UsageError: registries are to be asked, and the machine is offline.
    :raises LockError: there is no lock, or it cannot be used.
    :raises SpecError: the spec cannot be used.
    """
    return next(statuses_of((project,), options, machine=machine))


def statuses_of(
    projects: tuple[Project, ...],
    options: StatusOptions | None = None,
    *,
    machine: Machine | None = None,
    unusable_too: bool = False,
) -> Iterator[ProjectStatus]:
    """Yield the state of each project; each registry is asked for a reference once.

    ``unusable_too`` yields a project without a usable lock as well.

    :raises UsageError: registries are to be asked, and the machine is offline.
    :raises LockError: a lock is missing or cannot be used, unless ``unusable_too``.
    :raises SpecError: a spec cannot be used, unless ``unusable_too``.
    """
    options, machine = options or StatusOptions(), machine or Machine()
    if options.remote and machine.offline:
        raise UsageError(
            "a status with --remote asks registries, and --offline asks nobody",
            hint="leave --remote out: what it would ask is shown as not asked",
        )
    digest_of = registry_reader(machine) if options.remote else None
    for project in projects:
        try:
            lock = read_project_lock(project)
            stale = _stale_fields(project, lock)
            with closing(engine_of(project, options.engine, machine)) as engine:
                targets = [target_status(lock, target, stale, engine, digest_of) for target in lock.targets]
        except EnvbuildError as error:
            # an engine that nobody has is the mistake of whoever typed it, not of a project
            if not unusable_too or isinstance(error, UsageError):
                raise
            targets = [_unusable(project, error)]
        yield ProjectStatus(project, tuple(targets))


def _stale_fields(project: Project, lock: "Lock") -> tuple[Problem, ...]:
    from envbuild.lock.freshness import stale_fields

    return tuple(stale_fields(project.request, lock.request))


def registry_reader(machine: Machine) -> DigestOf:
    """Return a function that asks registries which digest a reference names, each reference once."""
    from envbuild.oci.reference import parse_reference
    from envbuild.remote.registry.client import RegistryClient

    registry = RegistryClient(environment=machine.environment)

    answers: dict[str, str | EnvbuildError | None] = {}

    def digest_of(reference: str) -> str | None:
        # errors are kept too: a registry that does not answer is waited for once, not for each target
        if reference not in answers:
            try:
                answers[reference] = registry.digest_of(parse_reference(reference))
            except EnvbuildError as error:
                answers[reference] = error
        answer = answers[reference]
        if isinstance(answer, EnvbuildError):
            raise answer
        return answer

    return digest_of


def target_status(
    lock: "Lock",
    target: "Target",
    stale: tuple[Problem, ...],
    engine: "ImageHolder",
    digest_of: DigestOf | None,
) -> TargetStatus:
    """Return the state of one target: ``engine`` tells of its image, ``digest_of`` of registries."""
    from envbuild.image.built_image import image_reference_for

    reference, reasons = image_reference_for(lock, target), list[str]()
    state, made_by = _image_state(lock, target, engine, reasons)
    pushed = None
    if digest_of is not None and lock.request.repository:
        try:
            pushed = digest_of(reference)
        except EnvbuildError as error:
            reasons.append(error.message)
    base = lock.base(target)
    return TargetStatus(
        variant=target.variant,
        platform=target.platform,
        reference=reference,
        stale=stale,
        engine=engine.name,
        image_state=state,
        made_by=made_by,
        pushed=pushed,
        base=_base_name(base),
        base_state=base_state(base, digest_of, reasons),
        why="; ".join(dict.fromkeys(reasons)) or None,
    )


def _image_state(
    lock: "Lock", target: "Target", engine: "ImageHolder", reasons: list[str]
) -> tuple[ImageState, str | None]:
    from envbuild.image.built_image import earlier_images, held_image

    try:
        held = held_image(lock, target, engine)
        if held is not None:
            return "built", held.made_by
        return ("older format" if any(earlier_images(lock, target, engine)) else "not built"), None
    except EngineError as error:
        reasons.append(error.message)
        return "unknown", None


def _base_name(base: "Base") -> str:
    if base.image:
        return base.image.reference
    return base.packages.distribution if base.packages else base.key


def base_state(base: "Base", digest_of: DigestOf | None, reasons: list[str]) -> BaseState:
    """Return whether a base is as locked; why it is unknown is added to ``reasons``."""
    if base.image is None:
        return "from packages"
    if digest_of is None:
        return "not asked"
    try:
        now = digest_of(base.image.reference)
    except EnvbuildError as error:
        reasons.append(error.message)
        return "unknown"
    if now is None:
        return "gone"
    return "as locked" if now in {base.image.index, base.image.digest} else "moved"


def _unusable(project: Project, error: EnvbuildError) -> TargetStatus:
    """Return the state of a project that has no lock, or whose spec or lock cannot be read."""
    state: LockState = "unreadable"
    if isinstance(error, LockMissingError):
        state = "no lock"
    elif isinstance(error, SpecError):
        state = "spec unreadable"
    problems = "".join(f"; {problem}" for problem in error.problems)
    return TargetStatus(
        variant="-",
        platform="-",
        reference="-",
        lock_state=state,
        stale=(),
        image_state="unknown",
        pushed=None,
        base="-",
        base_state="unknown",
        why=f"{project.label}: {error.message}{problems}",
    )
