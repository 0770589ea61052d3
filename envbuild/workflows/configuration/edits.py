"""Changes of a configuration file's text: one value is set or removed, and all else stays as it is."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from envbuild.spec.edits.toml_layout import COMMENT, STRING

Value = str | list[str]

MOST_LINES = 1_000
"""Of a text that a line is added to where TOML's tables allow nothing else: each costs a reading."""


_STRING_OR_COMMENT = re.compile(f"{STRING.pattern}|{COMMENT.pattern}", re.DOTALL)


class NotEditableError(ValueError):
    """The text has a form that cannot be changed without a person."""


class NotSetError(KeyError):
    """The text does not have the value that is to be removed."""


def with_value(text: str, path: tuple[str, ...], value: Value) -> str:
    """Return ``text`` with ``value`` at ``path``; comments, order and line ends stay.

    :raises NotEditableError: something that is no table stands in the way, or the form cannot be edited.
    """
    plain = _plain(text)
    if plain and not plain.endswith("\n"):
        plain += "\n"
    wanted = tomllib.loads(plain)
    table: Any = wanted
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise NotEditableError
    table[path[-1]] = value

    for edited in _tried(
        lambda: _set_in_tables(plain, path, value),
        lambda: _with_new_line(plain, path, value, wanted),
        lambda: _with_new_table(plain, path, value),
    ):
        # tomlkit repeats the comment of a header before which it puts another
        if _data(edited) == wanted and not _comments(edited) - _comments(plain):
            return _with_line_ends(edited, text)
    raise NotEditableError


def without_value(text: str, path: tuple[str, ...]) -> str:
    """Return ``text`` without the value at ``path``, and without the tables that are empty then.

    A table with comments stays: they may tell of more than the value.

    :raises NotSetError: there is no such value.
    :raises NotEditableError: the form cannot be edited.
    """
    plain = _plain(text)
    wanted = tomllib.loads(plain)
    table: Any = wanted
    for part in path[:-1]:
        table = table.get(part) if isinstance(table, dict) else None
    if not isinstance(table, dict) or path[-1] not in table:
        raise NotSetError
    del table[path[-1]]

    for edited in _tried(
        lambda: _removed(plain, path, prune=True), lambda: _removed(plain, path, prune=False)
    ):
        data = _data(edited)
        if data is not None and _filled(data) == _filled(wanted):
            return _with_line_ends(edited, text)
    raise NotEditableError


def _tried(*ways: Callable[[], str | None]) -> Iterator[str]:
    """Yield what each way gives, unless it fails."""
    for way in ways:
        try:
            edited = way()
        except Exception:  # noqa: BLE001, S112 - tomlkit has many kinds of errors for forms that it cannot edit
            continue
        if edited is not None:
            yield edited


def _data(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def _comments(text: str) -> Counter[str]:
    return Counter(token for token in _STRING_OR_COMMENT.findall(text) if token.startswith("#"))


def _filled(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``table`` without the tables in which there is nothing."""
    below = {key: _filled(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in below.items() if value != {}}


def _set_in_tables(text: str, path: tuple[str, ...], value: Value) -> str:
    import tomlkit
    from tomlkit.items import InlineTable

    document = tomlkit.parse(text)
    table: Any = document
    for part in path[:-1]:
        if part not in table:
            # in an inline table there are inline tables alone
            table[part] = (
                tomlkit.inline_table()
                if isinstance(table, InlineTable)
                else tomlkit.table(is_super_table=part != path[-2])
            )
        table = table[part]
    table[path[-1]] = value
    return tomlkit.dumps(document)


def _with_new_line(text: str, path: tuple[str, ...], value: Value, wanted: Mapping[str, Any]) -> str | None:
    """Return ``text`` with one more line, after those of the same table; None: no line would do."""
    import tomlkit

    written = tomlkit.item(value).as_string()
    lines = _lines(text)
    for number in _places(lines, path):
        for start in range(len(path)):
            line = f"{tomlkit.key(path[start:]).as_string()} = {written}\n"
            edited = "".join((*lines[:number], line, *lines[number:]))
            if _data(edited) == wanted:
                return edited
    return None


def _with_new_table(text: str, path: tuple[str, ...], value: Value) -> str:
    import tomlkit

    header = tomlkit.key(path[:-1]).as_string()
    line = f"{tomlkit.key(path[-1]).as_string()} = {tomlkit.item(value).as_string()}"
    return f"{text}\n[{header}]\n{line}\n"


def _places(lines: list[str], path: tuple[str, ...]) -> Iterator[int]:
    """Yield after how many lines a line for ``path`` may stand, the best first."""
    last: dict[int, int] = {}
    known: set[tuple[str, ...]] = set()
    for number in range(1, len(lines) + 1 if len(lines) <= MOST_LINES else 1):
        data = _data("".join(lines[:number]))
        if data is None:
            # in the middle of a value of several lines
            continue
        for place in _values(data):
            if place not in known:
                known.add(place)
                pairs = zip(place, path, strict=False)
                shared = next((count for count, (a, b) in enumerate(pairs) if a != b), 0)
                last[shared] = number
    yield from (last[shared] for shared in sorted(last, reverse=True))


def _values(table: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _values(value, (*place, key))
        else:
            yield (*place, key)


def _removed(text: str, path: tuple[str, ...], *, prune: bool) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    tables: list[Any] = [document]
    for part in path[:-1]:
        tables.append(tables[-1][part])
    del tables[-1][path[-1]]
    for table, part in zip(reversed(tables[:-1]), reversed(path[:-1]), strict=True):
        if not prune or table[part] or _has_comments(table[part]):
            break
        del table[part]
    return tomlkit.dumps(document)


def _has_comments(table: Any) -> bool:
    from tomlkit.items import InlineTable

    # of an inline table, the comment behind it goes with its line
    return not isinstance(table, InlineTable) and ("#" in table.as_string() or bool(table.trivia.comment))


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _with_line_ends(edited: str, text: str) -> str:
    """Return ``edited`` with the line ends and the byte order mark that ``text`` has.

    The lines before and after the change keep their own; those that changed get what most lines have.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    old, new = _lines(text.removeprefix("\ufeff")), _lines(edited)
    before = _same(old, new)
    after = _same(reversed(old[before:]), reversed(new[before:]))
    changed = "".join(new[before : len(new) - after])
    if text.count("\r\n") * 2 > text.count("\n"):
        changed = changed.replace("\n", "\r\n")
    return mark + "".join(old[:before]) + changed + "".join(old[len(old) - after :])


def _lines(text: str) -> list[str]:
    """Return the lines as TOML has them, with their ends."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _same(old: Iterable[str], new: Iterable[str]) -> int:
    """Return how many lines are the same at the start, whatever their ends."""
    count = 0
    for ours, theirs in zip(old, new, strict=False):
        if ours.replace("\r\n", "\n") != theirs:
            break
        count += 1
    return count
