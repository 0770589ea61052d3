"""What came out of a comparison."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["passed", "failed", "warned", "skipped"]
Profile = Literal["image", "devcontainer"]
"""``image``: every difference fails.  ``devcontainer``: what people and editors add in use only warns."""

Evidence = Literal["stored", "told"]
"""Where an answer comes from.  ``stored``: what an engine, a registry or a file stores, read from outside.
``told``: a process of the image, which is believed."""

Proof = Literal["digest", "tree"]
"""How an image was found to be exactly the lock's: by its digest, or by every file and the configuration."""

PROFILES: tuple[Profile, ...] = ("image", "devcontainer")
REPORT_FORMAT = 2


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
    evidence: Evidence = "told"

    @property
    def difference(self) -> str:
        """``numpy 2.1.0 → 2.1.1``: the thing, what the lock says, what is there."""
        before = f"{self.title} {self.expected}" if self.expected else self.title
        return f"{before} → {self.found}" if self.found else before


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of an image's files was compared, and with what."""

    paths: int
    """Paths of the image."""

    accounted: dict[str, int] = field(default_factory=dict)
    """How many of them are as expected, by what says so: ``wheels``, ``conda packages``, ``debs``,
    ``layers of the base``, ``the lock``, ``the reference``."""

    differing: int = 0
    """How many of them are not, or are not expected at all."""

    missing: int = 0
    """How many paths are expected and are not there; they are not among :attr:`paths`."""

    not_covered: tuple[str, ...] = ()
    """Paths that nothing at hand could say anything about."""

    reason: str | None = None
    """Why there are such paths."""

    @property
    def uncovered(self) -> int:
        """How many paths nothing at hand could say anything about."""
        return len(self.not_covered)

    @property
    def line(self) -> str:
        """All of it in one line."""
        parts = [f"{count:,} by {name}" for name, count in self.accounted.items() if count]
        said = f"{self.paths:,} paths: {', '.join(parts) or 'none accounted for'}"
        differing = f"; {self.differing:,} differ" if self.differing else ""
        missing = f"; {self.missing:,} missing" if self.missing else ""
        return f"{said}{differing}{missing}; {self.uncovered:,} not covered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All results, in the order of the plan."""

    target: str
    """``train (gpu, linux/amd64)``."""

    profile: Profile
    results: tuple[CheckResult, ...]
    digest: str | None = None
    """Of the image; None: this is no image, but a machine or a container from inside."""

    source: str | None = None
    """What stores the image: ``the engine``, ``the registry``."""

    coverage: Coverage | None = None
    """None: files were not compared."""

    proof: Proof | None = None
    """How the image was found to be exactly the lock's; None: it was not, or was not asked."""

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed."""
        return not any(result.outcome == "failed" for result in self.results)

    @property
    def complete(self) -> bool:
        """Whether every path of the image and its whole configuration were compared."""
        if self.coverage is None:
            return False
        missed = any(result.outcome == "skipped" and result.id == "coverage" for result in self.results)
        return not self.coverage.not_covered and not missed

    def with_outcome(self, *outcomes: Outcome) -> Iterator[CheckResult]:
        """Yield the results that ended in one of ``outcomes``."""
        return (result for result in self.results if result.outcome in outcomes)

    def count(self, outcome: Outcome) -> int:
        """Return how many results ended in ``outcome``."""
        return sum(1 for _ in self.with_outcome(outcome))
