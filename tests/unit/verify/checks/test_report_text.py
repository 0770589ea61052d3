import json
from dataclasses import replace
from typing import get_args
from xml.etree import ElementTree as ET

import pytest

from envbuild.errors import EngineError, EnvbuildError, Problem
from envbuild.verify.checks import CheckResult, Report
from envbuild.verify.checks.report import Outcome
from envbuild.verify.checks.report_text import TRUST, render_json, render_text
from envbuild.verify.junit import render_junit, render_junit_of_specs
from tests.rig.hostile import COMMANDS, HOSTILE, harm_in


@pytest.fixture
def report() -> Report:
    return Report(
        target="train (cpu, linux/amd64)",
        profile="image",
        results=(
            CheckResult(
                id="os/id", group="system", title="os id", outcome="passed", expected="debian", found="debian"
            ),
            CheckResult(
                id="wheel/numpy",
                group="python packages",
                title="numpy",
                outcome="failed",
                expected="2.1.0",
                found="2.1.1",
            ),
            CheckResult(
                id="wheel/bad\x00name",
                group="python packages",
                title="bad\x00<name>",
                outcome="warned",
                found="1.0 & more",
                reason="not in the lock",
            ),
            CheckResult(
                id="image/user",
                group="configuration",
                title="image user",
                outcome="skipped",
                expected="1000:1000",
                reason="only the engine can say",
            ),
        ),
    )


def test_json(report: Report) -> None:
    text = render_json(report)
    document = json.loads(text)
    assert text.endswith("}\n")
    assert {key: document[key] for key in ("format", "target", "profile", "succeeded", "counts")} == {
        "format": 2,
        "target": "train (cpu, linux/amd64)",
        "profile": "image",
        "succeeded": False,
        "counts": {"passed": 1, "failed": 1, "warned": 1, "skipped": 1},
    }
    assert document["results"][1] == {
        "id": "wheel/numpy",
        "group": "python packages",
        "title": "numpy",
        "outcome": "failed",
        "expected": "2.1.0",
        "found": "2.1.1",
        "reason": None,
        "evidence": "told",
    }


def test_text(report: Report) -> None:
    assert render_text(report) == (
        "train (cpu, linux/amd64), profile image\n"
        "\n"
        "system           1 of 1 passed\n"
        "python packages  0 of 2 passed\n"
        "configuration    0 of 1 passed\n"
        "\n"
        "failed   numpy 2.1.0 → 2.1.1\n"
        "warned   bad\\x00<name> → 1.0 & more (not in the lock)\n"
        "skipped  image user (only the engine can say)\n"
        "\n"
        "1 passed, 1 failed, 1 warned, 1 skipped\n"
        "Told by this container itself: its own interpreter answered.  "
        "`envbuild verify --deep`, run outside, compares every file.\n"
    )


def test_an_empty_report_says_so() -> None:
    empty = Report(target="x", profile="image", results=())
    assert empty.succeeded
    assert render_text(empty) == f"x, profile image\n\n\nnothing to check\n{TRUST}\n"


# What Jenkins' xunit plugin (junit-10.xsd) and Ant agree on.
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "system-out": set[str](),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "error", "skipped", "system-out"},
}


MISSING = EngineError("the engine does not hold train:1", hint="run `envbuild build`", detail="a\nb")


@pytest.mark.parametrize("several", [False, True])
def test_junit_has_the_common_structure(report: Report, several: bool) -> None:
    specs: list[tuple[str, Report | EnvbuildError]] = [
        ("envs/a", report),
        ("envs/b", MISSING),
        ("envs/c", report),
    ]
    text = render_junit_of_specs(specs) if several else render_junit(report)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ')
    root = ET.fromstring(text)  # noqa: S314 - our own
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
    for suite in root:
        cases = list(suite)
        assert suite.get("tests") == str(len(cases))
        for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert suite.get(attribute) == str(sum(case.find(tag) is not None for case in cases))
    for attribute in ("tests", "failures", "errors"):
        assert root.get(attribute) == str(sum(int(suite.get(attribute) or "") for suite in root))
    assert root.get("tests") == ("9" if several else "4")
    assert root.get("failures") == ("2" if several else "1")


def test_junit_of_several_has_a_suite_for_each_spec(report: Report) -> None:
    root = ET.fromstring(render_junit_of_specs([("envs/a", report), ("envs/b", MISSING)]))  # noqa: S314 - our own

    assert [suite.get("name") for suite in root] == ["envs/a: train (cpu, linux/amd64)", "envs/b"]
    assert {case.get("classname") for case in root[0]} == {
        "envs/a.system",
        "envs/a.python packages",
        "envs/a.configuration",
    }
    (case,) = root[1]
    error = case.find("error")
    assert error is not None
    assert (case.get("classname"), case.get("name")) == ("envs/b", "verify")
    assert error.attrib == {"type": "engine", "message": "the engine does not hold train:1"}
    assert error.text == "the engine does not hold train:1\na\nb\nhint: run `envbuild build`"


@pytest.mark.parametrize("text", [HOSTILE, *COMMANDS])
def test_junit_of_several_is_harmless(text: str) -> None:
    result = CheckResult(id=text, group=text, title=text, outcome="failed", expected=text, found=text)
    error = EnvbuildError(text, hint=text, detail=text, problems=[Problem(text, text)])
    report = Report(target=text, profile="image", results=(result,))

    assert harm_in(render_junit_of_specs([(text, report), (text, error)])) == []


def test_junit_tells_each_difference(report: Report) -> None:
    root = ET.fromstring(render_junit(report))  # noqa: S314 - our own
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == failure.text == "numpy 2.1.0 → 2.1.1"
    assert [case.get("name") for case in root.iter("testcase")] == [
        "os/id",
        "wheel/numpy",
        r"wheel/bad\x00name",
        "image/user",
    ]
    assert root.findtext(".//system-out") == r"warning: bad\x00<name> → 1.0 & more (not in the lock)"
    skipped = root.find(".//skipped")
    assert skipped is not None
    assert skipped.get("message") == "only the engine can say"


def test_junit_marks_what_an_image_told_of_itself(report: Report) -> None:
    """A report without a digest is about a machine, or is the container's own: all of it is told."""
    told, stored = report.results[1:3], [replace(item, evidence="stored") for item in report.results[1:3]]
    of_image = replace(report, results=(report.results[0], *told), digest=f"sha256:{'1' * 64}")
    assert outputs(of_image) == {
        "os/id": "told by the image",
        "wheel/numpy": "told by the image",
        r"wheel/bad\x00name": "warning: bad\\x00<name> → 1.0 & more (not in the lock)\ntold by the image",
    }
    read = replace(of_image, results=(report.results[0], *stored))
    assert outputs(read) == {
        "os/id": "told by the image",
        r"wheel/bad\x00name": r"warning: bad\x00<name> → 1.0 & more (not in the lock)",
    }
    own = replace(of_image, digest=None)
    assert outputs(own).keys() == {r"wheel/bad\x00name"}


def outputs(report: Report) -> dict[str, str]:
    cases = ET.fromstring(render_junit(report)).iter("testcase")  # noqa: S314 - our own
    return {case.get("name") or "": text for case in cases if (text := case.findtext("system-out"))}


def test_the_same_report_gives_the_same_text(report: Report) -> None:
    assert render_junit(report) == render_junit(report)
    assert render_json(report) == render_json(report)


@pytest.mark.parametrize("text", [HOSTILE, *COMMANDS])
def test_whatever_an_image_says_is_harmless(text: str) -> None:
    results = tuple(
        CheckResult(id=text, group=text, title=text, outcome=outcome, expected=text, found=text, reason=text)
        for outcome in get_args(Outcome)
    )
    hostile = Report(target=text, profile="image", results=results)

    assert harm_in(render_text(hostile)) == []
    assert render_text(hostile).count("\n") == 10
    assert render_text(hostile).endswith(f"\n{TRUST}\n"), "nothing an image says comes after it"
    assert harm_in(render_json(hostile)) == []
    assert render_json(hostile).isascii()
    assert json.loads(render_json(hostile))["results"][1]["reason"] == text
    assert harm_in(render_junit(hostile)) == []
    root = ET.fromstring(render_junit(hostile))  # noqa: S314 - our own
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.text == failure.get("message")
    said = [*root.itertext(), *(value for element in root.iter() for value in element.attrib.values())]
    assert harm_in("\n".join(said)) == []
