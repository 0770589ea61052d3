"""A verification as text for a terminal."""

from typing import Final

from envbuild.cli.output import aligned
from envbuild.workflows.verify import VerifyResult, result_line

MARKS: Final = {"passed": "ok", "failed": "DIFFERS", "warned": "warning", "skipped": "skipped"}

MOST_ROWS: Final = 200
"""Results that are shown without ``verbose``: a package of another version differs in hundreds of files."""


def as_lines(result: VerifyResult, *, quiet: bool, verbose: bool) -> list[str]:
    """Return the results that did not pass, how much was compared, and the verdict.

    ``quiet`` leaves out all but differences; ``verbose`` shows everything.
    """
    shown = [
        item
        for item in result.report.results
        if verbose or item.outcome == "failed" or (item.outcome != "passed" and not quiet)
    ]
    most = len(shown) if verbose else MOST_ROWS
    rows = [
        (MARKS[item.outcome], item.group, result_line(item, verbose=verbose, marked=result.is_image))
        for item in shown[:most]
    ]
    lines = list(aligned(rows))
    if len(shown) > most:
        lines.append(f"… and {len(shown) - most:,} more: --verbose or --json shows all")
    return [*lines, *result.coverage_lines(verbose=verbose), result.verdict]
