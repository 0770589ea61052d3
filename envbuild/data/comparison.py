"""What files of data are not as they are locked: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Difference = Literal["changed", "missing", "extra"]


@dataclass(frozen=True, slots=True)
class FileDifference:
    """One file that is not as it is locked."""

    path: str
    locked: str | None
    """Hexadecimal sha256 in the manifest; None: it is not in there."""

    found: str | None
    """Hexadecimal sha256 of what is there; None: nothing is."""

    @property
    def kind(self) -> Difference:
        """What is the matter."""
        if self.locked is None:
            return "extra"
        return "missing" if self.found is None else "changed"

    def __str__(self) -> str:
        """Return it on a line, with both digests."""
        if self.found is None:
            return f"{self.path}: missing; locked sha256:{self.locked}"
        if self.locked is None:
            return f"{self.path}: not in the lock; found sha256:{self.found}"
        return f"{self.path}: changed; locked sha256:{self.locked}, found sha256:{self.found}"


def compare_files(locked: Mapping[str, str], found: Mapping[str, str]) -> tuple[FileDifference, ...]:
    """Return the differences between two manifests' files, sorted by path."""
    return tuple(
        FileDifference(path, locked.get(path), found.get(path))
        for path in sorted(locked.keys() | found.keys())
        if locked.get(path) != found.get(path)
    )
