"""What every evaluator sees, and how a difference becomes an outcome under a profile."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from envbuild.verify.checks.facts import DebFacts, DistributionFacts, Facts
from envbuild.verify.checks.plan import Check, locked_debs
from envbuild.verify.checks.report import CheckResult, Outcome, Profile
from envbuild.verify.checks.target import LockedCondaPackage, LockedTarget

Difference = Literal["missing", "changed", "extra", "personal", "harmless"]
"""``personal`` is what a dev container changes for its person: uid, editor variables, working directory.
``harmless`` is worth knowing and no difference from the lock."""

_OUTCOMES: dict[Profile, dict[Difference, Outcome]] = {
    "image": {
        "missing": "failed",
        "changed": "failed",
        "extra": "failed",
        "personal": "failed",
        "harmless": "warned",
    },
    "devcontainer": {
        "missing": "failed",
        "changed": "failed",
        "extra": "warned",
        "personal": "warned",
        "harmless": "warned",
    },
}


def outcome_of(profile: Profile, difference: Difference) -> Outcome:
    """Return how bad a difference is under a profile."""
    return _OUTCOMES[profile][difference]


@dataclass(frozen=True, kw_only=True)
class Context:
    """One comparison; the indices below are made once."""

    target: LockedTarget
    facts: Facts
    profile: Profile
    require_gpu: bool = False
    """Whether a GPU that is not there is a difference."""

    @cached_property
    def locked_debs(self) -> dict[str, str]:
        """Version by ``name:architecture``."""
        return locked_debs(self.target)

    @cached_property
    def found_debs(self) -> dict[str, DebFacts]:
        """Stanzas of dpkg by ``name:architecture``."""
        return {f"{deb.name}:{deb.architecture}": deb for deb in self.facts.debs or ()}

    @property
    def conda_packages(self) -> tuple[LockedCondaPackage, ...]:
        """Locked conda packages."""
        return self.target.conda.packages if self.target.conda else ()

    @cached_property
    def found_distributions(self) -> dict[str, list[DistributionFacts]]:
        """Distributions in the prefix by name; two under one name are possible, and wrong."""
        found: dict[str, list[DistributionFacts]] = {}
        for distribution in self.facts.distributions:
            found.setdefault(distribution.name, []).append(distribution)
        return found

    def passed(
        self,
        check: Check,
        *,
        found: str | None = None,
        reason: str | None = None,
        thing: str | None = None,
        title: str | None = None,
    ) -> CheckResult:
        """Return that ``check`` holds; ``thing`` and ``title`` name one of several things it looked at."""
        return CheckResult(
            id=thing or check.id,
            group=check.group,
            title=title or check.title,
            outcome="passed",
            expected=check.expected,
            found=check.expected if found is None else found,
            reason=reason,
        )

    def skipped(
        self, check: Check, reason: str, *, thing: str | None = None, title: str | None = None
    ) -> CheckResult:
        """Return that ``check`` could not be answered."""
        return CheckResult(
            id=thing or check.id,
            group=check.group,
            title=title or check.title,
            outcome="skipped",
            expected=check.expected,
            reason=reason,
        )

    def differ(
        self,
        check: Check,
        difference: Difference,
        *,
        found: str | None,
        reason: str | None = None,
        expected: str | None = None,
    ) -> CheckResult:
        """Return that ``check`` does not hold; the profile decides how bad that is."""
        return CheckResult(
            id=check.id,
            group=check.group,
            title=check.title,
            outcome=_OUTCOMES[self.profile][difference],
            expected=check.expected if expected is None else expected,
            found="missing" if found is None else found,
            reason=reason,
        )

    def compare(self, check: Check, found: str | None, *, difference: Difference = "changed") -> CheckResult:
        """Return whether ``found`` is what ``check`` expects."""
        if found == check.expected:
            return self.passed(check)
        return self.differ(check, "missing" if found is None else difference, found=found)

    def unlocked(
        self, check: Check, thing: str, *, title: str, found: str, reason: str | None = None
    ) -> CheckResult:
        """Return that something is there which the lock does not have; ``thing`` becomes the result's id."""
        return self.single(check, thing, "extra", title=title, expected=None, found=found, reason=reason)

    def single(
        self,
        check: Check,
        thing: str,
        difference: Difference,
        *,
        title: str,
        expected: str | None,
        found: str | None,
        reason: str | None = None,
    ) -> CheckResult:
        """Return one of several differences that a check found, under an id of its own."""
        return CheckResult(
            id=thing,
            group=check.group,
            title=title,
            outcome=_OUTCOMES[self.profile][difference],
            expected=expected,
            found="missing" if found is None else found,
            reason=reason,
        )
