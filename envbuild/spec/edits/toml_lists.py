"""Lists of texts in a TOML document: one more, one less, another.  Every other byte stays.

Each edit is read again, and refused unless it changed what it was to change and nothing else.
"""

import re
import tomllib
from collections.abc import Callable
from typing import Any

from envbuild.spec.edits.bracketed import items_of, with_item, without_item
from envbuild.spec.edits.toml_layout import (
    Entry,
    Section,
    TomlLayout,
    TomlPath,
    indentation,
    layout_of,
    line_break,
    line_end,
)
from envbuild.spec.problems import RefusedError, field_path

_MARK = "\ufeff"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\"}


def list_at(document: Any, path: TomlPath) -> list[Any] | None:
    """Return the list at ``path`` of a document; None when there is none."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, list) else None


def with_text(text: str, path: TomlPath, value: str, *, root: TomlPath = ()) -> str:
    """Return ``text`` with ``value`` behind all others of the list at ``path``, which is made where it lacks.

    ``root`` is where the tables of the spec are; a new table is put behind theirs.

    :raises RefusedError: it is written in a way that cannot be edited.
    """

    def add(document: dict[str, Any]) -> None:
        table = document
        for key in path[:-1]:
            table = table.setdefault(key, {})
        table.setdefault(path[-1], []).append(value)

    def edit(layout: TomlLayout) -> str:
        entry = layout.entry(path)
        if entry is None:
            return _with_key(layout, path, f"{_key(path[-1])} = [{_quoted(value)}]", root)
        inside = layout.text[entry.value : entry.end]
        return _put(layout, entry.value, entry.end, with_item(inside, _quoted(value, _style(inside))))

    return _edited(text, path, edit, add)


def with_text_replaced(text: str, path: TomlPath, number: int, value: str) -> str:
    """Return ``text`` with ``value`` as an item of the list at ``path``.

    :raises RefusedError: it is written in a way that cannot be edited.
    """

    def replace(document: dict[str, Any]) -> None:
        found = list_at(document, path)
        if found is not None:
            found[number] = value

    def edit(layout: TomlLayout) -> str:
        entry = _list_entry(layout, path)
        inside = layout.text[entry.value : entry.end]
        start, end = items_of(inside)[number]
        quoted = _quoted(value, inside[start])
        return _put(layout, entry.value + start, entry.value + end, quoted)

    return _edited(text, path, edit, replace)


def without_text(text: str, path: TomlPath, number: int) -> str:
    """Return ``text`` without an item of the list at ``path``, which stays when it is empty.

    :raises RefusedError: it is written in a way that cannot be edited.
    """

    def remove(document: dict[str, Any]) -> None:
        found = list_at(document, path)
        if found is not None:
            del found[number]

    def edit(layout: TomlLayout) -> str:
        entry = _list_entry(layout, path)
        inside = without_item(layout.text[entry.value : entry.end], number)
        return _put(layout, entry.value, entry.end, inside)

    return _edited(text, path, edit, remove)


def _edited(
    text: str, path: TomlPath, edit: Callable[[TomlLayout], str], change: Callable[[dict[str, Any]], None]
) -> str:
    mark = _MARK if text.startswith(_MARK) else ""
    plain = text.removeprefix(_MARK)
    try:
        # as texts: a number that is none is not equal to itself
        wanted = tomllib.loads(plain, parse_float=str)
        change(wanted)
        edited = edit(layout_of(plain))
        if tomllib.loads(edited, parse_float=str) != wanted:
            raise _unusual(path)
    except (tomllib.TOMLDecodeError, ValueError, IndexError, TypeError, AttributeError, KeyError) as error:
        if isinstance(error, RefusedError):
            raise
        raise _unusual(path) from error
    return mark + edited


def _unusual(path: TomlPath) -> RefusedError:
    return RefusedError(
        f"`{field_path(path)}` is written in a way that cannot be edited", hint="change it by hand"
    )


def _list_entry(layout: TomlLayout, path: TomlPath) -> Entry:
    entry = layout.entry(path)
    if entry is None:
        raise _unusual(path)
    return entry


def _put(layout: TomlLayout, start: int, end: int, inside: str) -> str:
    return layout.text[:start] + inside + layout.text[end:]


def _with_key(layout: TomlLayout, path: TomlPath, line: str, root: TomlPath) -> str:
    """Return the text with a new key, in the table that is there or in a new one."""
    above = path[:-1]
    if inline := layout.entry(above):
        if layout.text[inline.value] != "{":
            raise _unusual(above)
        inside = with_item(layout.text[inline.value : inline.end], line)
        return _put(layout, inline.value, inline.end, inside)
    for number, section in enumerate(layout.sections):
        if section.path == above and not section.is_item:
            return _with_line(layout, number, line)
    for entry in reversed(layout.entries):
        # `pip.requirements = […]` under the header of what is above
        under = layout.sections[entry.section].path
        if not entry.is_inline and len(under) < len(above) and entry.path[: len(above)] == above:
            dotted = ".".join(map(_key, above[len(under) :]))
            return _insert(layout, line_end(layout.text, entry.end), f"{dotted}.{line}", entry.start)
    if len(above) > 1 and (outer := layout.entry(above[:-1])) and not outer.is_inline:
        # `variants.cpu = { python = "3.12" }`
        inside = with_item(layout.text[outer.value : outer.end], f"{_key(above[-1])} = {{ {line} }}")
        return _put(layout, outer.value, outer.end, inside)
    return _with_section(layout, above, line, root)


def _with_line(layout: TomlLayout, number: int, line: str) -> str:
    """Return the text with a line behind the last one of a section."""
    section, entries = layout.sections[number], layout.entries_of(number)
    if not entries and number == 0:
        return line + line_break(layout.text) + layout.text
    at = entries[-1].end if entries else section.header_end
    return _insert(layout, line_end(layout.text, at), line, entries[-1].start if entries else section.start)


def _insert(layout: TomlLayout, end: int, line: str, like: int) -> str:
    new_line = line_break(layout.text)
    return f"{layout.text[:end]}{new_line}{indentation(layout.text, like)}{line}{layout.text[end:]}"


def _with_section(layout: TomlLayout, path: TomlPath, line: str, root: TomlPath) -> str:
    text, new_line = layout.text, line_break(layout.text)
    block = f"[{'.'.join(map(_key, path))}]{new_line}{line}"
    last = _section_before(layout, path, root)
    if last is None:
        gap = "" if not text else new_line if text.endswith("\n") else 2 * new_line
        return f"{text}{gap}{block}{new_line}"
    number, section = last
    entries = layout.entries_of(number)
    end = line_end(text, entries[-1].end if entries else section.header_end)
    rest = text[end:] or new_line
    return f"{text[:end]}{2 * new_line}{block}{rest}"


def _section_before(layout: TomlLayout, path: TomlPath, root: TomlPath) -> tuple[int, Section] | None:
    """Return the section that a new one is put behind: what all variants share stands before them."""
    variants = (*root, "variants")
    # what is not of the spec, such as [dependency-groups], has no place among its tables
    around = root if path[: len(root)] == root else path[:1]
    in_variant = path[: len(variants)] == variants
    found = None
    for number, section in enumerate(layout.sections):
        is_here = section.path[: len(around)] == around
        is_variant = section.path[: len(variants)] == variants
        has_text = section.header_end or layout.entries_of(number)
        if is_here and has_text and (in_variant or not is_variant):
            found = (number, section)
    return found


def _style(inside: str) -> str:
    marks = {inside[start] for start, _ in items_of(inside)}
    return "'" if marks == {"'"} else '"'


def _quoted(value: str, style: str = '"') -> str:
    if "'" not in value and (style == "'" or '"' in value):
        return f"'{value}'"
    return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _quoted(key)
