"""What resolving Python packages comes to."""

from dataclasses import dataclass

from envbuild.lock.model import Wheel
from envbuild.resolve.sources.release import NO_BUILDS, WheelBuilds


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonResolution:
    """The wheels of a target, and what those that are built are made of."""

    wheels: tuple[Wheel, ...] = ()
    """Sorted by name."""

    builds: WheelBuilds = NO_BUILDS
