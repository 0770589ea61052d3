"""Which target of a lock a command means."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from envbuild.errors import LockError, UsageError

if TYPE_CHECKING:
    from envbuild.lock.model import Lock, Target
    from envbuild.platforms import Platform


class VariantOnPlatform(Protocol):
    """A variant on a platform."""

    @property
    def variant(self) -> str:
        """Its name."""

    @property
    def platform(self) -> str:
        """As OCI writes it."""


T = TypeVar("T", bound=VariantOnPlatform)


def select_target(
    lock: "Lock", *, variant: str | None, platform: str | None, host: "Platform | None"
) -> "Target":
    """Return the target asked for; see :func:`choose_locked`."""
    return choose_locked(
        lock.targets, default=lock.request.default_variant, variant=variant, platform=platform, host=host
    )


def choose_locked(
    targets: Sequence[T],
    *,
    default: str,
    variant: str | None,
    platform: str | None,
    host: "Platform | None",
) -> T:
    """Return the target asked for of all those of a lock.

    The variant is the one named, else the spec's default: never chosen by the machine at hand, so a CI
    without GPU cannot ship the CPU image by accident.  The platform is the one named, else the machine's,
    else the only one there is.

    :raises UsageError: no such variant or platform in the lock.
    :raises LockError: several platforms are locked and none is this machine's.
    """
    wanted = variant or default
    of_variant = [target for target in targets if target.variant == wanted]
    if not of_variant:
        known = ", ".join(sorted({target.variant for target in targets}))
        raise UsageError(f"the lock has no variant `{wanted}`", hint=f"variants of this lock: {known}")
    locked = ", ".join(target.platform for target in of_variant)
    if platform is not None:
        for target in of_variant:
            if target.platform == platform:
                return target
        raise UsageError(
            f"the lock has no platform `{platform}` for variant `{wanted}`",
            hint=f"locked platforms: {locked}; add it to `platforms` in the spec and lock again",
        )
    for target in of_variant:
        if host is not None and target.platform == host.name:
            return target
    if len(of_variant) == 1:
        return of_variant[0]
    raise LockError(
        f"the lock has no target for this machine ({host.name if host else 'unknown platform'})",
        hint=f"name one with --platform: {locked}",
    )
