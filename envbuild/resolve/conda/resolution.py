"""What resolving conda packages comes to."""

from dataclasses import dataclass

from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Interpreter


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaResolution:
    """What one target's environment is made of."""

    packages: tuple[CondaPackage, ...]
    """Sorted by key."""

    interpreter: Interpreter
