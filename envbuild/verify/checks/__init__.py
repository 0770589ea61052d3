"""What a target must be, and whether facts agree: pure, standard library only, carried inside the probe."""

from envbuild.verify.checks.evaluate import evaluate
from envbuild.verify.checks.facts import Facts, read_facts
from envbuild.verify.checks.plan import Check, plan_checks
from envbuild.verify.checks.report import CheckResult, Coverage, Outcome, Profile, Report
from envbuild.verify.checks.target import LockedTarget, read_target

__all__ = [
    "Check",
    "CheckResult",
    "Coverage",
    "Facts",
    "LockedTarget",
    "Outcome",
    "Profile",
    "Report",
    "evaluate",
    "plan_checks",
    "read_facts",
    "read_target",
]
