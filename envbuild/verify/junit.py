"""A report as JUnit XML: one test case per result, as CI systems read it.

There is no standard; this keeps to what the schemas of Jenkins' xunit plugin and of Apache Ant agree on.
Text that was made visible has no character that XML 1.0 (production 2, Char) cannot hold.
"""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

from envbuild.errors import EnvbuildError
from envbuild.verify.checks.report import CheckResult, Report
from envbuild.visible import visible

TOLD = "told by the image"
"""Of a case that rests on what a process of the image said."""


def render_junit(report: Report) -> str:
    """Return ``report`` as a JUnit document: a suite per group; warnings pass, with their text as output.

    Without times and host names: the same report gives the same text.
    """
    suites: dict[str, list[CheckResult]] = {}
    for result in report.results:
        suites.setdefault(result.group, []).append(result)
    root = ET.Element("testsuites", {"name": visible(report.target), **_counts(report.results)})
    del root.attrib["skipped"]  # of suites only
    for group, results in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": visible(group), **_counts(results)})
        for result in results:
            _add_case(suite, group, result, mark=report.digest is not None)
    return _document(root)


def render_junit_of_specs(outcomes: Sequence[tuple[str, Report | EnvbuildError]]) -> str:
    """Return what verifying several specs gave as one JUnit document: a suite for each, in their order.

    ``outcomes`` has the spec's folder, and its report or why there is none: a suite with one case that ended
    with an error, so that no spec is left out.  As with one report, the same outcomes give the same text.
    """
    results = [result for _, found in outcomes if isinstance(found, Report) for result in found.results]
    errors = sum(isinstance(found, EnvbuildError) for _, found in outcomes)
    root = ET.Element("testsuites", {"name": "envbuild verify --all", **_counts(results, errors=errors)})
    del root.attrib["skipped"]
    for label, found in outcomes:
        spec = visible(label)
        if isinstance(found, EnvbuildError):
            suite = ET.SubElement(root, "testsuite", {"name": spec, **_counts((), errors=1)})
            _add_error(suite, spec, found)
            continue
        suite = ET.SubElement(
            root, "testsuite", {"name": f"{spec}: {visible(found.target)}", **_counts(found.results)}
        )
        for result in found.results:
            _add_case(suite, f"{label}.{result.group}", result, mark=found.digest is not None)
    return _document(root)


def _add_error(suite: ET.Element, spec: str, error: EnvbuildError) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": spec, "name": "verify", "time": "0"})
    told = [error.message, *map(str, error.problems), *(error.detail or "").splitlines()]
    told += [f"hint: {error.hint}"] if error.hint else []
    kind = type(error).__name__.removesuffix("Error").lower()
    ET.SubElement(case, "error", {"type": kind, "message": visible(error.message)}).text = "\n".join(
        map(visible, told)
    )


def _document(root: ET.Element) -> str:
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, group: str, result: CheckResult, *, mark: bool) -> None:
    named = {"classname": visible(group), "name": visible(result.id)}
    case = ET.SubElement(suite, "testcase", {**named, "time": "0"})
    told = visible(result.difference + (f" ({result.reason})" if result.reason else ""))
    if result.outcome == "failed":
        ET.SubElement(case, "failure", {"type": "difference", "message": told}).text = told
    elif result.outcome == "skipped":
        ET.SubElement(case, "skipped", {"message": visible(result.reason or "")})
    said = [f"warning: {told}"] if result.outcome == "warned" else []
    said += [TOLD] if result.evidence == "told" and mark else []
    if said:
        ET.SubElement(case, "system-out").text = "\n".join(said)


def _counts(results: Iterable[CheckResult], *, errors: int = 0) -> dict[str, str]:
    outcomes = [result.outcome for result in results]
    return {
        "tests": str(len(outcomes) + errors),
        "failures": str(outcomes.count("failed")),
        "errors": str(errors),
        "skipped": str(outcomes.count("skipped")),
        "time": "0",
    }
