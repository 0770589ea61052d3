"""What a report says of itself."""

from typing import Any

import pytest

from envbuild.verify.checks.report import CheckResult, Coverage, Outcome, Report
from envbuild.verify.checks.report_text import coverage_document, report_document


def report(*outcomes: Outcome, **fields: Any) -> Report:
    results = tuple(
        CheckResult(id=f"{number}", group="files", title="x", outcome=outcome)
        for number, outcome in enumerate(outcomes)
    )
    return Report(target="train", profile="image", results=results, **fields)


WHOLE = Coverage(paths=1200, accounted={"wheels": 1100, "debs": 0, "the reference": 99}, differing=1)
PART = Coverage(paths=3, accounted={"wheels": 1}, not_covered=("/a", "/b"), reason="no reference: why")


@pytest.mark.parametrize(
    ("coverage", "line"),
    [
        (WHOLE, "1,200 paths: 1,100 by wheels, 99 by the reference; 1 differ; 0 not covered"),
        (PART, "3 paths: 1 by wheels; 2 not covered"),
        (Coverage(paths=0), "0 paths: none accounted for; 0 not covered"),
        (
            Coverage(paths=2, differing=2, accounted={"debs": 0}),
            "2 paths: none accounted for; 2 differ; 0 not covered",
        ),
    ],
)
def test_a_coverage_is_one_line(coverage: Coverage, line: str) -> None:
    assert coverage.line == line


def test_a_coverage_as_values() -> None:
    assert coverage_document(PART) == {
        "paths": 3,
        "accounted": {"wheels": 1},
        "differing": 0,
        "missing": 0,
        "uncovered": 2,
        "not-covered": ["/a", "/b"],
        "reason": "no reference: why",
    }


@pytest.mark.parametrize(
    ("fields", "complete"),
    [
        ({}, False),
        ({"coverage": PART}, False),
        ({"coverage": WHOLE}, True),
        ({"coverage": WHOLE, "proof": "tree"}, True),
        ({"coverage": PART, "proof": "digest"}, False),
    ],
)
def test_a_report_is_complete_when_every_path_was_compared(fields: dict[str, Any], *, complete: bool) -> None:
    assert report("passed", **fields).complete is complete
    assert report_document(report("passed", **fields))["complete"] is complete


@pytest.mark.parametrize(
    ("outcomes", "succeeded"),
    [((), True), (("passed", "warned", "skipped"), True), (("passed", "failed"), False)],
)
def test_a_report_succeeds_when_nothing_failed(outcomes: tuple[Outcome, ...], *, succeeded: bool) -> None:
    assert report(*outcomes).succeeded is succeeded
