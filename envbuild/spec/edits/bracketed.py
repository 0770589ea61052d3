"""Items between brackets, of an array or an inline table: one more, one less, and no other byte changed.

The layout is kept: one line or several, a comma behind the last item or none, indentation, comments.
"""

import re
from dataclasses import dataclass

from envbuild.spec.edits.toml_layout import COMMENT, line_break, value_end

_SPACE = " \t"


@dataclass(frozen=True, slots=True)
class _Item:
    start: int
    end: int
    comma: int | None
    """Where the comma behind it stands."""


def items_of(text: str) -> tuple[tuple[int, int], ...]:
    """Return where the items of ``text`` start and end; it runs from bracket to bracket."""
    return tuple((item.start, item.end) for item in _items(text))


def with_item(text: str, item: str) -> str:
    """Return ``text``, from bracket to bracket, with ``item`` behind all others."""
    items = _items(text)
    if not items:
        return _with_first(text, item)
    last = items[-1]
    own_line = _starts_line(text, last.start)
    if last.comma is None:
        text = f"{text[: last.end]},{text[last.end :]}"
        end, comma = last.end + 1, ""
    else:
        end, comma = last.comma + 1, ","
    if not own_line:
        return f"{text[:end]} {item}{comma}{text[end:]}"
    # behind the comment that belongs to the last item
    stop = _behind_comment(text, end)
    indent = text[text.rfind("\n", 0, last.start) + 1 : last.start].strip(",\r") or ""
    indent = re.match(r"[ \t]*", indent)[0]  # type: ignore[index]
    return f"{text[:stop]}{line_break(text)}{indent}{item}{comma}{text[stop:]}"


def without_item(text: str, number: int) -> str:
    """Return ``text``, from bracket to bracket, without an item; a comment on its own line goes with it."""
    items = _items(text)
    item = items[number]
    is_last = number == len(items) - 1
    end = item.end if item.comma is None else item.comma + 1
    stop = _behind_comment(text, end)
    if _starts_line(text, item.start) and _ends_line(text, stop):
        start = text.rfind("\n", 0, item.start) + 1
        after = text.find("\n", stop) + 1
        # what ended with no comma ends with none again
        comma = items[number - 1].comma if is_last and number and item.comma is None else None
        if comma is None:
            return text[:start] + text[after:]
        return text[:comma] + text[comma + 1 : start] + text[after:]
    if not is_last:
        return _without_inner(text, item, items[number + 1])
    if number == 0:
        start = len(text[: item.start].rstrip(_SPACE))
        start = start if text[start - 1] in "[{" else item.start
        return text[:start] + text[end:]
    return _without_last(text, item, items[number - 1])


def _without_last(text: str, item: _Item, before: _Item) -> str:
    comma = before.comma
    if comma is None:  # pragma: no cover - TOML has a comma between items
        raise ValueError("no comma between items")
    kept = text[comma + 1 : item.start].rstrip(_SPACE)
    kept = kept if kept.strip() else ""
    if item.comma is not None:
        return text[: comma + 1] + kept + text[item.comma + 1 :]
    return (text[:comma] + kept if kept else text[: before.end]) + text[item.end :]


def _without_inner(text: str, item: _Item, following: _Item) -> str:
    comma = item.comma
    if comma is None:  # pragma: no cover - TOML has a comma between items
        raise ValueError("no comma between items")
    between = text[comma + 1 : following.start]
    if not between.strip(_SPACE):
        return text[: item.start] + text[following.start :]
    # something else stands behind it: only the item and its comma go
    start = (
        len(text[: item.start].rstrip(_SPACE))
        if _ends_line(text, _behind_comment(text, comma + 1))
        else item.start
    )
    start = item.start if text[start - 1] in "\n[{" else start
    return text[:start] + text[item.end : comma] + text[comma + 1 :]


def _with_first(text: str, item: str) -> str:
    inner = text[1:-1]
    if "\n" not in inner:
        # the space there is on both sides
        return f"{text[0]}{inner}{item}{inner}{text[-1]}"
    stop = len(text[:-1].rstrip(f"{_SPACE}\r\n"))
    closing = text[text.rfind("\n", 0, len(text)) + 1 : -1]
    lines = [line for line in re.split(r"\r?\n", inner)[1:-1] if line.strip()]
    indent = re.match(r"[ \t]*", lines[-1])[0] if lines else f"{closing}    "  # type: ignore[index]
    if stop == 1 or not lines:
        stop = _behind_comment(text, 1)
    return f"{text[:stop]}{line_break(text)}{indent}{item},{text[stop:]}"


def _items(text: str) -> tuple[_Item, ...]:
    found: list[_Item] = []
    position, start, end = 1, None, 0
    stop = len(text) - 1
    while position < stop:
        if comment := COMMENT.match(text, position):
            position = comment.end()
        elif text[position] in " \t\r\n":
            position += 1
        elif text[position] == ",":
            if start is not None:
                found.append(_Item(start, end, position))
            start = None
            position += 1
        else:
            start = position if start is None else start
            position = end = max(_part_end(text, position), position + 1)
    if start is not None:
        found.append(_Item(start, end, None))
    return tuple(found)


def _part_end(text: str, position: int) -> int:
    """Return where a part of an item ends: a value, a key, or the mark between them."""
    if text[position] in "=.":
        return position + 1
    if text[position] in "\"'[{":
        return value_end(text, position)
    found = re.compile(r"[^\s,=#\]}\"'\[{]+").match(text, position)
    return found.end() if found else position + 1


def _behind_comment(text: str, position: int) -> int:
    """Return where a comment ends that follows on the same line; ``position`` when there is none."""
    found = re.compile(r"[ \t]*#[^\n]*").match(text, position)
    if found is None:
        return position
    return found.end() - 1 if text[found.end() - 1] == "\r" else found.end()


def _starts_line(text: str, position: int) -> bool:
    before = text[:position].rstrip(_SPACE)
    return before.endswith("\n")


def _ends_line(text: str, position: int) -> bool:
    return re.compile(r"[ \t]*\r?\n").match(text, position) is not None
