"""A report as JSON and as plain text."""

import json
from typing import Any

from envbuild.verify.checks.codec import encode
from envbuild.verify.checks.report import REPORT_FORMAT, Outcome, Report

_OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "warned", "skipped")


def report_document(report: Report) -> dict[str, Any]:
    """Return a report as plain JSON values; docs/explanation/verify.md describes them."""
    return {
        "format": REPORT_FORMAT,
        "target": report.target,
        "profile": report.profile,
        "succeeded": report.succeeded,
        "counts": {outcome: report.count(outcome) for outcome in _OUTCOMES},
        "results": [encode(result) for result in report.results],
    }


def render_json(report: Report) -> str:
    """Return a report as JSON text that ends in a line break."""
    return json.dumps(report_document(report), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def render_text(report: Report) -> str:
    """Return a report as a plain table: what passed is counted by group, all else has a line of its own."""
    lines = [f"{report.target}, profile {report.profile}", ""]
    groups: dict[str, list[int]] = {}
    for result in report.results:
        passed = groups.setdefault(result.group, [0, 0])
        passed[1] += 1
        passed[0] += result.outcome == "passed"
    width = max((len(group) for group in groups), default=0)
    lines += [f"{group:<{width}}  {passed} of {total} passed" for group, (passed, total) in groups.items()]
    others = list(report.with_outcome("failed", "warned", "skipped"))
    if others:
        lines.append("")
    for result in others:
        text = result.title if result.outcome == "skipped" else result.difference
        lines.append(f"{result.outcome:<7}  {text}" + (f" ({result.reason})" if result.reason else ""))
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in _OUTCOMES if report.count(outcome))
    return "\n".join([*lines, "", counts or "nothing to check", ""])
