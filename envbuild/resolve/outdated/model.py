"""What is known of one locked package and of newer versions of it."""

from dataclasses import dataclass
from typing import Literal

UpdateKind = Literal["wheel", "conda", "deb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageUpdate:
    """One locked package, and what there is by now."""

    kind: UpdateKind
    name: str
    locked: str
    """Version."""

    allowed: str | None = None
    """The newest version that the spec and the other packages allow; None: not known, see ``notes``."""

    newest: str | None = None
    """The newest version there is for the target; None: not known, see ``notes``."""

    security: str | None = None
    """Newest security update between ``locked`` and ``allowed``; None: there is none, or nobody says so."""

    notes: tuple[str, ...] = ()

    @property
    def is_outdated(self) -> bool:
        """Whether there is another version than the locked one, allowed or not."""
        return any(version not in {None, self.locked} for version in (self.allowed, self.newest))
