"""A report as JUnit XML: one test case per result, as CI systems read it.

There is no standard; this keeps to what the schemas of Jenkins' xunit plugin and of Apache Ant agree on.
"""

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from envbuild.verify.checks.report import CheckResult, Report

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (production 2, Char) cannot hold, escaped or not."""


def render_junit(report: Report) -> str:
    """Return ``report`` as a JUnit document: a suite per group; warnings pass, with their text as output.

    Without times and host names: the same report gives the same text.
    """
    suites: dict[str, list[CheckResult]] = {}
    for result in report.results:
        suites.setdefault(result.group, []).append(result)
    root = ET.Element("testsuites", {"name": _text(report.target), **_counts(report.results)})
    del root.attrib["skipped"]  # of suites only
    for group, results in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": group, **_counts(results)})
        for result in results:
            _add_case(suite, group, result)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, group: str, result: CheckResult) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": group, "name": _text(result.id), "time": "0"})
    told = _text(result.difference + (f" ({result.reason})" if result.reason else ""))
    if result.outcome == "failed":
        ET.SubElement(case, "failure", {"type": "difference", "message": told}).text = told
    elif result.outcome == "skipped":
        ET.SubElement(case, "skipped", {"message": _text(result.reason or "")})
    elif result.outcome == "warned":
        ET.SubElement(case, "system-out").text = f"warning: {told}"


def _counts(results: Iterable[CheckResult]) -> dict[str, str]:
    outcomes = [result.outcome for result in results]
    return {
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count("failed")),
        "errors": "0",
        "skipped": str(outcomes.count("skipped")),
        "time": "0",
    }


def _text(value: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", value)
