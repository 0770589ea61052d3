"""The result of a verification, for a program that imports envbuild."""

from pathlib import Path
from typing import Any, get_args

import pytest

from envbuild.errors import UsageError
from envbuild.verify.checks.report import CheckResult, Coverage, Evidence, Outcome, Report
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from envbuild.workflows.verify import (
    MOST_UNCOVERED,
    THIS_MACHINE,
    VerifyOptions,
    VerifyResult,
    result_line,
    verify_image,
)

WHOLE = Coverage(paths=1200, accounted={"the reference": 1200})
PART = Coverage(
    paths=1200,
    accounted={"wheels": 1185},
    not_covered=tuple(f"/{number:02}" for number in range(15)),
    reason="no reference: it is for another processor",
)
DIGEST = f"sha256:{'1' * 64}"


def result(*outcomes: Outcome, subject: str = "train:1", read: int = 0, **fields: Any) -> VerifyResult:
    """Return a result with these outcomes: the last `read` of them read from outside, the others told."""
    results = tuple(
        CheckResult(
            id=f"{number}",
            group="files",
            title="x",
            outcome=outcome,
            evidence="told" if number < len(outcomes) - read else "stored",
        )
        for number, outcome in enumerate(outcomes)
    )
    report = Report(target="train", profile="image", results=results, digest=DIGEST, **fields)
    return VerifyResult(subject=subject, report=report)


ASKED = "told by the image itself: --deep compares its files from outside"
OF_THEM = "1 of them told by the image"
OPEN = "; incomplete: 15 of 1,200 paths not covered (no reference: it is for another processor)"
VERDICTS = {
    "asked": (result("passed", "passed"), f"train:1 matches its lock: 2 passed; 2 {ASKED}"),
    "asked, with a warning": (
        result("passed", "warned", "skipped"),
        f"train:1 matches its lock: 1 passed, 1 warned, 1 skipped; 3 {ASKED}",
    ),
    "asked, and differs": (
        result("passed", "failed"),
        f"train:1 differs from its lock: 1 passed, 1 failed; 2 {ASKED}",
    ),
    "asked, and its engine too": (
        result("passed", "passed", "passed", read=2),
        f"train:1 matches its lock: 3 passed; 1 {ASKED}",
    ),
    "read": (result("passed", coverage=WHOLE, read=1), "train:1 matches its lock: 1 passed"),
    "read and asked": (
        result("passed", "passed", "warned", coverage=WHOLE, read=1),
        "train:1 matches its lock: 2 passed, 1 warned; 2 of them told by the image",
    ),
    "read, and what it tells differs": (
        result("failed", "passed", coverage=WHOLE, read=1),
        "train:1 differs from its lock: 1 passed, 1 failed; 1 of them told by the image",
    ),
    "read, and differs": (
        result("failed", coverage=WHOLE, read=1),
        "train:1 differs from its lock: 1 failed",
    ),
    "read in part": (
        result("passed", "skipped", coverage=PART, read=2),
        f"train:1 matches its lock as far as it could be compared: 1 passed, 1 skipped{OPEN}",
    ),
    "read in part, and differs": (
        result("failed", coverage=PART, read=1),
        f"train:1 differs from its lock: 1 failed{OPEN}",
    ),
    "read in part and asked": (
        result("passed", "passed", coverage=PART, read=1),
        f"train:1 matches its lock as far as it could be compared: 2 passed; {OF_THEM}{OPEN}",
    ),
    "by digest": (
        result("passed", coverage=WHOLE, proof="digest", read=1),
        "train:1 is exactly what its lock makes, by digest: 1 passed",
    ),
    "by tree": (
        result("passed", coverage=WHOLE, proof="tree", read=1),
        "train:1 is exactly what its lock makes, by tree: 1 passed",
    ),
    "exact, and what it tells differs": (
        result("failed", "passed", coverage=WHOLE, proof="digest", read=1),
        "train:1 differs from its lock: 1 passed, 1 failed; 1 of them told by the image",
    ),
    "machine": (result("passed", subject=THIS_MACHINE), "this machine can run the lock: 1 passed"),
    "machine, in part": (
        result("passed", "skipped", subject=THIS_MACHINE),
        "this machine may run the lock, not everything could be asked: 1 passed, 1 skipped",
    ),
    "machine that differs": (
        result("failed", subject=THIS_MACHINE),
        "this machine cannot run the lock: 1 failed",
    ),
}


@pytest.mark.parametrize(("verified", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_the_verdict_says_what_was_found_and_how_it_is_known(verified: VerifyResult, verdict: str) -> None:
    assert verified.verdict == verdict
    assert verdict.replace("<", "&lt;") in verified._repr_html_()


@pytest.mark.parametrize("outcome", get_args(Outcome))
@pytest.mark.parametrize("evidence", get_args(Evidence))
def test_a_difference_that_the_image_told_is_marked(outcome: Outcome, evidence: Evidence) -> None:
    said = CheckResult(
        id="wheel/a", group="packages", title="a", outcome=outcome, expected="1", found="2", evidence=evidence
    )
    plain = result_line(said)
    assert plain == result_line(said, marked=False)
    assert "told" not in plain
    is_marked = evidence == "told" and outcome in {"failed", "warned"}
    assert result_line(said, marked=True) == plain + (" (told by the image)" if is_marked else "")


def test_the_mark_comes_after_the_reason() -> None:
    said = CheckResult(id="a", group="gpu", title="a", outcome="failed", found="2", reason="it is old")
    assert result_line(said, marked=True).endswith(": it is old (told by the image)")


def test_nothing_is_said_of_files_that_nobody_read() -> None:
    assert result("passed").coverage_lines() == []


def test_what_was_read_and_how_much_is_said() -> None:
    verified = result("passed", coverage=WHOLE, source="the engine")
    assert verified.coverage_lines() == [f"{DIGEST} in the engine", WHOLE.line]


def test_some_paths_that_are_not_covered_are_named_and_all_with_verbose() -> None:
    verified = result("passed", coverage=PART, source="the engine")
    lines = verified.coverage_lines()
    assert lines[2] == "not covered: /00"
    assert len(lines) == 2 + MOST_UNCOVERED + 1
    assert lines[-1] == "… and 5 more not covered: --verbose or --json shows all"
    assert verified.coverage_lines(verbose=True)[2:] == [f"not covered: /{number:02}" for number in range(15)]


def test_the_document_has_coverage_and_proof() -> None:
    document = result("passed", coverage=WHOLE, proof="tree", source="the engine").document()
    assert (document["image"], document["digest"], document["source"]) == ("train:1", DIGEST, "the engine")
    assert (document["proof"], document["complete"], document["succeeded"]) == ("tree", True, True)
    assert document["coverage"]["paths"] == 1200
    assert result("passed").document()["coverage"] is None


def test_a_report_is_written_to_a_path_given_as_a_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    verified = VerifyResult(subject="train:1", report=Report(target="train", profile="image", results=()))

    verified.write_junit("v.xml")

    assert "<testsuite" in (tmp_path / "v.xml").read_text()


@pytest.mark.parametrize("image", ["oci:folder", "archive:file.tar", "registry:example.com/a"])
def test_an_image_that_can_only_be_read_is_not_asked(project: Project, machine: Machine, image: str) -> None:
    with pytest.raises(UsageError, match="is not in an engine, so it cannot be run, only read"):
        verify_image(project, VerifyOptions(image=image), machine=machine)
