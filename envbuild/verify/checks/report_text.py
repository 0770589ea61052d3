"""A report as JSON and as plain text."""

from typing import Any

from envbuild.verify.checks.codec import encode
from envbuild.verify.checks.report import REPORT_FORMAT, Coverage, Outcome, Report
from envbuild.visible import visible, visible_json

TRUST = (
    "Told by this container itself: its own interpreter answered.  "
    "`envbuild verify --deep`, run outside, compares every file."
)
"""What a report of the probe rests on: its last line."""

_OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "warned", "skipped")


def report_document(report: Report) -> dict[str, Any]:
    """Return a report as plain JSON values; docs/explanation/verify.md describes them."""
    return {
        "format": REPORT_FORMAT,
        "target": report.target,
        "profile": report.profile,
        "digest": report.digest,
        "source": report.source,
        "succeeded": report.succeeded,
        "complete": report.complete,
        "proof": report.proof,
        "coverage": None if report.coverage is None else coverage_document(report.coverage),
        "counts": {outcome: report.count(outcome) for outcome in _OUTCOMES},
        "results": [encode(result) for result in report.results],
    }


def coverage_document(coverage: Coverage) -> dict[str, Any]:
    """Return a coverage as plain JSON values."""
    return {
        "paths": coverage.paths,
        "accounted": dict(coverage.accounted),
        "differing": coverage.differing,
        "missing": coverage.missing,
        "uncovered": coverage.uncovered,
        "not-covered": list(coverage.not_covered),
        "reason": coverage.reason,
    }


def render_json(report: Report) -> str:
    """Return a report as JSON text that ends in a line break."""
    return visible_json(report_document(report)) + "\n"


def render_text(report: Report) -> str:
    """Return a report as a plain table: what passed is counted by group, all else has a line of its own."""
    lines = [visible(f"{report.target}, profile {report.profile}"), ""]
    groups: dict[str, list[int]] = {}
    for result in report.results:
        passed = groups.setdefault(visible(result.group), [0, 0])
        passed[1] += 1
        passed[0] += result.outcome == "passed"
    width = max((len(group) for group in groups), default=0)
    lines += [
        visible(f"{group:<{width}}  {passed} of {total} passed") for group, (passed, total) in groups.items()
    ]
    others = list(report.with_outcome("failed", "warned", "skipped"))
    if others:
        lines.append("")
    for result in others:
        text = result.title if result.outcome == "skipped" else result.difference
        reason = f" ({result.reason})" if result.reason else ""
        lines.append(visible(f"{result.outcome:<7}  {text}{reason}"))
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in _OUTCOMES if report.count(outcome))
    return "\n".join([*lines, "", counts or "nothing to check", TRUST, ""])
