"""What an edit of the spec changed, as text for a terminal."""

from collections.abc import Iterator

from envbuild.cli.output import aligned
from envbuild.cli.text.diff import as_text
from envbuild.workflows.editing.result import EditResult, SpecChange


def as_lines(result: EditResult, *, nothing: str = "nothing to do") -> Iterator[str]:
    """Yield the changes of the spec, then those of the lock, then what was written.

    ``nothing`` is said where nothing changes.
    """
    yield from aligned((change.where, _change(change)) for change in result.changes)
    if result.lock is not None:
        yield from _lock_lines(result)
    yield _written(result) or nothing


def _change(change: SpecChange) -> str:
    if change.old is None:
        return f"+ {change.new}"
    return f"- {change.old}" if change.new is None else f"{change.old} → {change.new}"


def _lock_lines(result: EditResult) -> Iterator[str]:
    if result.lock is None:
        return
    if result.difference is None:
        for target in result.lock.targets:
            yield f"locked {target}"
    elif result.difference.differs:
        yield from as_text(result.difference).split("\n")
    elif result.lock.written:
        yield "no locked package changes"


def _written(result: EditResult) -> str:
    shown = result.project.shown
    files = [str(shown(result.project.folder / file)) for file in result.files]
    if result.lock is not None and result.lock.written:
        files.append(str(shown(result.project.lock)))
    if not files:
        return ""
    return (
        f"would write {_listed(files)}; nothing was written" if result.dry_run else f"wrote {_listed(files)}"
    )


def _listed(files: list[str]) -> str:
    return " and ".join([", ".join(files[:-1]), files[-1]]) if len(files) > 1 else "".join(files)
