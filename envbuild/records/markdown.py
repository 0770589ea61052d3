"""Text from elsewhere in Markdown: shown as it is, and never read as a link, a heading or HTML.  Pure."""

import re
from collections.abc import Iterable, Sequence

from envbuild.visible import visible

LONGEST_CELL = 300
"""Characters."""

_SPECIAL = re.compile(
    r"([\\`*\[\]<>#|~&@$]"
    # at the beginning of a line these are lists, quotes and headings
    r"|^[-+=]|(?<=^[0-9])[.)]|(?<=^[0-9]{2})[.)]|(?<=^[0-9]{3})[.)]"
    # within a word it is itself
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
    # addresses, and names of pictures
    r"|:(?! |$)|(?<=www)\.)"
)
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,/%-]*")


def plain(text: str, *, limit: int | None = LONGEST_CELL) -> str:
    """Return ``text`` as Markdown that shows just it, on one line."""
    shown = visible(text, limit=limit)
    is_safe = _SAFE.fullmatch(shown) and "www." not in shown
    return shown if is_safe else _SPECIAL.sub(r"\\\1", shown)


def code(text: str, *, limit: int = LONGEST_CELL) -> str:
    """Return ``text`` as code within a line; also within a table."""
    shown = visible(text, limit=limit).strip(" ")
    if not shown:
        return ""
    if r"\|" in shown:
        # the backslash would be taken for that of the bar, which would end a cell
        return plain(shown, limit=None)
    # as many backquotes as nothing in it has
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    # a vertical bar ends a cell even in code
    return f"{fence}{pad}{shown.replace('|', chr(0x5C) + '|')}{pad}{fence}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table of cells that are Markdown already; nothing without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}", *lines] if lines else []


def block(lines: Iterable[str]) -> list[str]:
    """Return lines as a block of code."""
    shown = [visible(line, limit=None) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", *shown, fence]
