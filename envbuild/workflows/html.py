"""Results as HTML, for notebooks: everything visible and escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from envbuild.visible import visible


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; every text in it is escaped."""
    head = "".join(f"<th>{_shown(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{_shown(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><caption>{_shown(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _shown(text: str) -> str:
    return escape(visible(text))
