"""What came out of a comparison."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "failed", "warned", "skipped"]
Profile = Literal["image", "devcontainer"]
"""``image``: every difference fails.  ``devcontainer``: what people and editors add in use only warns."""

PROFILES: tuple[Profile, ...] = ("image", "devcontainer")
REPORT_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The answer to one check, or one of several differences a check found."""

    id: str
    """Stable across runs: ``wheel/numpy``, ``file/opt/venv/…``."""

    group: str
    title: str
    """The thing compared."""

    outcome: Outcome
    expected: str | None = None
    found: str | None = None
    reason: str | None = None

    @property
    def difference(self) -> str:
        """``numpy 2.1.0 → 2.1.1``: the thing, what the lock says, what is there."""
        before = f"{self.title} {self.expected}" if self.expected else self.title
        return f"{before} → {self.found}" if self.found else before


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All results, in the order of the plan."""

    target: str
    """``train (gpu, linux/amd64)``."""

    profile: Profile
    results: tuple[CheckResult, ...]

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed."""
        return not any(result.outcome == "failed" for result in self.results)

    def with_outcome(self, *outcomes: Outcome) -> Iterator[CheckResult]:
        """Yield the results that ended in one of ``outcomes``."""
        return (result for result in self.results if result.outcome in outcomes)

    def count(self, outcome: Outcome) -> int:
        """Return how many results ended in ``outcome``."""
        return sum(1 for _ in self.with_outcome(outcome))
