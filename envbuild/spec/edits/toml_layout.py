"""Where tables, keys and values stand in a TOML text, so that one of them can be changed and no other byte.

The text is known to be TOML: :mod:`tomllib` read it before, and reads the result of each edit.  So this
module finds ends of things and judges nothing.  Format: TOML 1.0, "Keys", "Table", "String".
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

TomlPath = tuple[str, ...]

STRING = re.compile(
    r'"""(?:\\.|"{1,2}(?!")|[^"\\])*"{3,5}'
    r"|'''(?:'{1,2}(?!')|[^'])*'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
COMMENT = re.compile(r"#[^\n]*")
_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")


@dataclass(frozen=True, slots=True)
class Section:
    """A header and what is under it, up to the next one; the first section has no header."""

    path: TomlPath
    start: int
    """Of the header."""

    header_end: int
    """Behind the closing bracket; 0 without a header."""

    is_item: bool = False
    """Whether it is one of an array of tables."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value."""

    path: TomlPath
    """From the top of the document."""

    section: int
    """Position of its section."""

    start: int
    """Of the key."""

    value: int
    """Where the value starts."""

    end: int
    """Behind the value."""

    is_inline: bool = False
    """Whether it stands in an inline table."""


@dataclass(frozen=True, slots=True)
class TomlLayout:
    """All sections and entries of a text, in their order."""

    text: str
    sections: tuple[Section, ...]
    entries: tuple[Entry, ...]

    def entry(self, path: TomlPath) -> Entry | None:
        """Return the one entry at ``path``; None when there is none, or more than one."""
        found = [entry for entry in self.entries if entry.path == path]
        return found[0] if len(found) == 1 else None

    def entries_of(self, section: int) -> tuple[Entry, ...]:
        """Return the entries that stand right under a header."""
        return tuple(entry for entry in self.entries if entry.section == section and not entry.is_inline)


def layout_of(text: str) -> TomlLayout:
    """Return where everything stands in ``text``, which is TOML."""
    sections = [Section((), 0, 0)]
    entries: list[Entry] = []
    position = _after_blank(text, 0)
    while position < len(text):
        if text[position] == "[":
            is_item = text.startswith("[[", position)
            path, end = _key(text, position + (2 if is_item else 1))
            end += 2 if is_item else 1
            sections.append(Section(path, position, end, is_item))
        else:
            path, value = _key(text, position)
            value = _after_space(text, value + 1)
            end = value_end(text, value)
            whole = (*sections[-1].path, *path)
            entries.append(Entry(whole, len(sections) - 1, position, value, end))
            entries.extend(_inline(text, whole, value, len(sections) - 1))
        position = _after_blank(text, end)
    return TomlLayout(text, tuple(sections), tuple(entries))


def value_end(text: str, start: int) -> int:
    """Return where the value that starts at ``start`` ends."""
    if found := STRING.match(text, start):
        return found.end()
    if text[start] not in "[{":
        scalar = _SCALAR.match(text, start)
        return start + len(scalar[0].rstrip()) if scalar else start
    depth, position = 0, start
    while True:
        if found := STRING.match(text, position) or COMMENT.match(text, position):
            position = found.end()
            continue
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(text[position], 0)
        position += 1
        if depth == 0:
            return position


def line_end(text: str, position: int) -> int:
    """Return where the line of ``position`` ends: before its line end."""
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    return end - 1 if end > position and text[end - 1] == "\r" else end


def line_start(text: str, position: int) -> int:
    """Return where the line of ``position`` starts."""
    return text.rfind("\n", 0, position) + 1


def indentation(text: str, position: int) -> str:
    """Return the space that the line of ``position`` starts with."""
    found = _SPACE.match(text, line_start(text, position))
    return found[0] if found else ""


def line_break(text: str) -> str:
    """Return what ends the lines of ``text``."""
    return "\r\n" if 0 < text.count("\n") == text.count("\r\n") else "\n"


def _inline(text: str, path: TomlPath, start: int, section: int) -> Iterator[Entry]:
    if text[start] != "{":
        return
    position = _after_blank(text, start + 1)
    while text[position] != "}":
        key, value = _key(text, position)
        value = _after_space(text, value + 1)
        end = value_end(text, value)
        yield Entry((*path, *key), section, position, value, end, is_inline=True)
        yield from _inline(text, (*path, *key), value, section)
        position = _after_blank(text, end)
        if text[position] == ",":
            position = _after_blank(text, position + 1)


def _key(text: str, position: int) -> tuple[TomlPath, int]:
    """Return a key, dotted or not, and where the mark behind it stands."""
    parts = []
    while True:
        position = _after_space(text, position)
        found = STRING.match(text, position) or _BARE_KEY.match(text, position)
        if found is None:
            raise ValueError("not a key")
        written = found[0]
        parts.append(tomllib.loads(f"key = {written}")["key"] if written[0] in "\"'" else written)
        position = _after_space(text, found.end())
        if not text.startswith(".", position):
            return tuple(parts), position
        position += 1


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _after_blank(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found else position
