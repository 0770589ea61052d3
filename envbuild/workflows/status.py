"""How a lock stands in the world: does it answer its spec, are its images there, has its base moved on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envbuild.errors import EngineError, EnvbuildError, LockMissingError, Problem
from envbuild.workflows.project import Project, read_lock

if TYPE_CHECKING:
    from envbuild.image.engine import ImageFacts
    from envbuild.lock.model import Base

BaseState = Literal["as locked", "moved", "gone", "from packages", "unknown"]

LockState = Literal["there", "no lock", "unreadable"]

Digests = Callable[[str], str | None]
"""Digest an image reference names in its registry now; None: nothing of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One target, as it stands."""

    variant: str
    platform: str
    reference: str

    lock_state: LockState = "there"
    """Unless it is there, nothing else is known."""

    stale: tuple[Problem, ...]
    """What the lock does not answer; the same for all targets of a lock."""

    built: bool | None
    """Whether the engine holds its image; None: no engine could be asked."""

    pushed: str | None
    """Digest in the registry of `[image] repository`; None: not there, or there is no repository."""

    base: str
    """Reference, or the distribution."""

    base_state: BaseState
    why: str | None = None
    """Why something is unknown."""

    @property
    def drifted(self) -> bool:
        """Whether locking again today would not give this lock, as far as can be told without doing so."""
        return self.lock_state != "there" or bool(self.stale) or self.base_state in {"moved", "gone"}


def unusable(project: Project, error: EnvbuildError) -> Standing:
    """Return how a project stands that has no lock, or whose spec or lock cannot be read."""
    what: LockState = "no lock" if isinstance(error, LockMissingError) else "unreadable"
    problems = "".join(f"; {problem}" for problem in error.problems)
    return Standing(
        variant="-",
        platform="-",
        reference="-",
        lock_state=what,
        stale=(),
        built=None,
        pushed=None,
        base="-",
        base_state="unknown",
        why=f"{project.folder.as_posix()}: {error.message}{problems}",
    )


def standings_of(
    project: Project, *, find_image: "Callable[[str], ImageFacts | None]", digest_of: Digests
) -> Iterator[Standing]:
    """Yield how each target of a project's lock stands.

    What cannot be reached is unknown, never an error: a laptop on a train has a status too.

    :raises LockError: there is no lock, or it cannot be used.
    """
    from envbuild.image.docker.build import is_image_of
    from envbuild.image.identity import image_reference_for
    from envbuild.lock.freshness import stale_fields
    from envbuild.lock.identity import target_digest
    from envbuild.spec.normalize import request_of

    lock = read_lock(project.lock)
    stale = stale_fields(request_of(project.spec), lock.request)
    for target in lock.targets:
        base = lock.base(target)
        reference = image_reference_for(lock, target)
        reasons: list[str] = []
        try:
            found = find_image(reference)
            built = found is not None and is_image_of(found, target_digest(lock, target))
        except EngineError as error:
            built = None
            reasons.append(error.message)
        yield Standing(
            variant=target.variant,
            platform=target.platform,
            reference=reference,
            stale=stale,
            built=built,
            pushed=_asked(digest_of, reference, reasons) if lock.request.repository else None,
            base=_called(base),
            base_state=_base_state(base, digest_of, reasons),
            why="; ".join(dict.fromkeys(reasons)) or None,
        )


def _called(base: "Base") -> str:
    if base.image:
        return base.image.reference
    return base.packages.distribution if base.packages else base.key


def _base_state(base: "Base", digest_of: Digests, reasons: list[str]) -> BaseState:
    if base.image is None:
        return "from packages"
    try:
        now = digest_of(base.image.reference)
    except EnvbuildError as error:
        reasons.append(error.message)
        return "unknown"
    if now is None:
        return "gone"
    return "as locked" if now in {base.image.index, base.image.digest} else "moved"


def _asked(digest_of: Digests, reference: str, reasons: list[str]) -> str | None:
    try:
        return digest_of(reference)
    except EnvbuildError as error:
        reasons.append(error.message)
        return None
