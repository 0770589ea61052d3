"""Data as text for a terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from envbuild.cli.output import aligned
from envbuild.workflows.sizes import counted, readable_size

if TYPE_CHECKING:
    from envbuild.workflows.data.differences import DataDiffResult
    from envbuild.workflows.data.fetching import DataFetchResult
    from envbuild.workflows.data.locking import DataLockResult
    from envbuild.workflows.data.snapshots import DataSnapshot
    from envbuild.workflows.data.verifying import DataVerifyResult

MOST_FILES: Final = 20
"""Files of one entry that are shown without ``verbose``."""

MARKS: Final = {"ok": "ok", "missing": "MISSING", "changed": "CHANGED"}


def locked_rows(result: "DataLockResult") -> list[tuple[str, ...]]:
    """Return a row for each entry that is locked."""
    return [
        (data.name, data.kind, counted(data.files, "file"), readable_size(data.size), data.digest)
        for data in result.data
    ]


def fetched_rows(result: "DataFetchResult") -> list[tuple[str, ...]]:
    """Return a row for each entry that is here."""
    return [
        (
            item.name,
            f"fetched {counted(item.fetched, 'file')}" if item.fetched else "was here",
            readable_size(item.size),
            item.path,
        )
        for item in result.data
    ]


def verified_lines(result: "DataVerifyResult", *, verbose: bool) -> Iterator[str]:
    """Yield a line for each entry, and below those that differ their files with both digests."""
    rows = [(MARKS[item.state], item.name, item.line) for item in result.data]
    for item, line in zip(result.data, aligned(rows), strict=True):
        yield line
        shown = item.differences if verbose else item.differences[:MOST_FILES]
        for difference in shown:
            yield f"  {difference}"
        yield from _more(item.differing - len(shown))
    if not result.data:
        yield "the lock has no data"


def changed_lines(result: "DataDiffResult", *, verbose: bool) -> Iterator[str]:
    """Yield what changed, entry by entry."""
    if not result.differs:
        yield f"no data differs between {result.old} and {result.new}"
    for change in result.changes:
        yield f"{change.name} {change.change}: {change.old or 'nothing'} → {change.new or 'nothing'}"
        for name, old, new in change.facts:
            yield f"  {name} {old or 'none'} → {new or 'none'}"
        shown = change.files if verbose else change.files[:MOST_FILES]
        for item in shown:
            yield f"  {item.path}: {_digest(item.locked)} → {_digest(item.found)}"
        yield from _more(change.differing - len(shown))


def output_rows(found: "DataSnapshot") -> list[tuple[str, ...]]:
    """Return a row for each output."""
    return [
        (item["path"], counted(item["files"], "file"), readable_size(item["size"]), item["digest"])
        for item in found.outputs
    ]


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"  … and {count:,} more: --json shows up to a thousand"


def _digest(sha256: str | None) -> str:
    return f"sha256:{sha256}" if sha256 else "not there"
