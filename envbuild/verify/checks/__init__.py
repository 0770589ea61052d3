"""What a target must be, and whether facts agree: pure, standard library only, carried inside the probe."""

from envbuild.verify.checks.evaluate import evaluate
from envbuild.verify.checks.facts import Configuration, Facts, read_facts
from envbuild.verify.checks.plan import Check, plan_checks
from envbuild.verify.checks.report import Outcome, Profile, Report, Result
from envbuild.verify.checks.target import LockedTarget, read_target
from envbuild.verify.checks.trees import Entry, ExpectedFiles, Tree

__all__ = [
    "Check",
    "Configuration",
    "Entry",
    "ExpectedFiles",
    "Facts",
    "LockedTarget",
    "Outcome",
    "Profile",
    "Report",
    "Result",
    "Tree",
    "evaluate",
    "plan_checks",
    "read_facts",
    "read_target",
]
