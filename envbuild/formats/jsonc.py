"""JSON with comments, as editors write it: read with the place of every value, and edited in place.

An edit replaces, adds or removes the text of one value; every other character of the file stays, comments
and blank lines included.  Trailing commas are read, and kept where they are.  Why it is written here:
docs/adr/0034-editing-devcontainer-json.md.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]
"""Keys from the outermost object inwards."""

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_SPACE_IN_LINE = re.compile(r"(?:[ \t]+|/\*[^\r\n]*?\*/)*(?://[^\r\n]*)?")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORDS = {"true": True, "false": False, "null": None}
_DEEPEST = 100
_WIDEST = 100
"""Columns an array of plain values may take before it gets a line for each."""


class JsoncError(ValueError):
    """The text is not JSON, not even with comments and trailing commas."""

    def __init__(self, message: str, text: str, position: int) -> None:
        self.line = text.count("\n", 0, position) + 1
        self.column = position - (text.rfind("\n", 0, position) + 1) + 1
        self.message = message
        super().__init__(f"line {self.line}, column {self.column}: {message}")


@dataclass(slots=True)
class Node:
    """One value and where it stands: ``text[start:end]``."""

    start: int
    value: Any = None
    """Of a scalar; of an object or array its Python counterpart."""

    end: int = 0
    members: dict[str, "JsonMember"] = field(default_factory=dict)
    """Of an object, in order."""

    items: list["Node"] = field(default_factory=list)
    """Of an array, in order."""


@dataclass(slots=True)
class JsonMember:
    """A key and its value; the pair starts at ``start``."""

    start: int
    node: Node

    @property
    def end(self) -> int:
        """Where the value ends."""
        return self.node.end


@dataclass(frozen=True, slots=True)
class _Style:
    newline: str
    indent: str

    def start(self, depth: int) -> str:
        """Return what starts a line at ``depth``."""
        return self.newline + self.indent * depth

    def render(self, value: Any, depth: int) -> str:
        """Return ``value`` as it stands at ``depth``, its first line without indentation."""
        if isinstance(value, dict) and value:
            lines = [
                f"{json.dumps(key, ensure_ascii=False)}: {self.render(item, depth + 1)}"
                for key, item in value.items()
            ]
        elif isinstance(value, list) and value:
            lines = [self.render(item, depth + 1) for item in value]
            flat = f"[{', '.join(lines)}]"
            if not any(isinstance(item, (dict, list)) for item in value) and len(flat) <= _WIDEST:
                return flat
        else:
            return json.dumps(value, ensure_ascii=False)
        opened, closed = ("{", "}") if isinstance(value, dict) else ("[", "]")
        inner = f",{self.newline}".join(self.indent * (depth + 1) + line for line in lines)
        return f"{opened}{self.newline}{inner}{self.newline}{self.indent * depth}{closed}"


def parse(text: str) -> Node:
    """Return the outermost value of ``text``.

    :raises JsoncError: it is not JSON with comments, or an object has one key twice.
    """
    reader = _Reader(text)
    start = reader.skip(1 if text.startswith("\ufeff") else 0)
    node = reader.value(start, 0)
    rest = reader.skip(node.end)
    if rest != len(text):
        raise JsoncError("there is more after the end of the value", text, rest)
    return node


def dumps(value: Any) -> str:
    """Return ``value`` as a new file."""
    return _Style("\n", "    ").render(value, 0) + "\n"


def set_value(text: str, path: Path, value: Any) -> str:
    """Return ``text`` with ``value`` at ``path``; objects on the way are made where they are missing.

    :raises KeyError: something on the way is no object.
    """
    style, root = _style(text), parse(text)
    node = root
    for depth, key in enumerate(path):
        if not isinstance(node.value, dict):
            raise KeyError(path[:depth])
        member = node.members.get(key)
        if member is None:
            for missing in reversed(path[depth + 1 :]):
                value = {missing: value}
            line = f"{json.dumps(key, ensure_ascii=False)}: {style.render(value, depth + 1)}"
            ends = [member.end for member in node.members.values()]
            return _insert(text, node, ends, style.start(depth + 1) + line, style.start(depth))
        node = member.node
    return text[: node.start] + style.render(value, len(path)) + text[node.end :]


def append_item(text: str, path: Path, item: Any) -> str:
    """Return ``text`` with ``item`` at the end of the array at ``path``, which is made where it is missing.

    :raises KeyError: what is there is no array.
    """
    found = find(parse(text), path)
    if found is None:
        return set_value(text, path, [item])
    if not isinstance(found.value, list):
        raise KeyError(path)
    style = _style(text)
    ends = [node.end for node in found.items]
    if ends and "\n" not in text[found.start : found.end]:
        return text[: ends[-1]] + ", " + style.render(item, len(path) + 1) + text[ends[-1] :]
    element = style.start(len(path) + 1) + style.render(item, len(path) + 1)
    return _insert(text, found, ends, element, style.start(len(path)))


def remove(text: str, path: Path) -> str:
    """Return ``text`` without the member at ``path``, and without objects that leaves empty."""
    parent = find(parse(text), path[:-1])
    if parent is None or path[-1] not in parent.members:
        return text
    members = list(parent.members.values())
    text = _cut(text, members, list(parent.members).index(path[-1]))
    return _without_empty(text, path[:-1])


def remove_item(text: str, path: Path, item: Any) -> str:
    """Return ``text`` without the first ``item`` of the array at ``path``."""
    found = find(parse(text), path)
    if found is None or item not in [node.value for node in found.items]:
        return text
    text = _cut(text, found.items, [node.value for node in found.items].index(item))
    return _without_empty(text, path)


def find(node: Node, path: Path) -> Node | None:
    """Return the value at ``path`` below ``node``, if there is one."""
    for key in path:
        member = node.members.get(key)
        if member is None:
            return None
        node = member.node
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def skip(self, position: int) -> int:
        """Return where the next thing that is neither space nor comment starts."""
        match = _SPACE.match(self._text, position)
        return match.end() if match else position

    def value(self, start: int, depth: int) -> Node:
        character = self._text[start : start + 1]
        if depth > _DEEPEST:
            raise JsoncError("nested too deeply", self._text, start)
        if character == "{":
            return self._object(start, depth)
        if character == "[":
            return self._array(start, depth)
        if character == '"':
            value, end = self._string(start)
            return Node(start, value, end)
        number = _NUMBER.match(self._text, start)
        if number:
            try:
                return Node(start, json.loads(number[0]), number.end())
            except ValueError:
                # Python reads no more than some thousand digits
                raise JsoncError("a number with too many digits", self._text, start) from None
        for word, constant in _WORDS.items():
            if self._text.startswith(word, start):
                return Node(start, constant, start + len(word))
        self._refuse("a value", start)
        raise AssertionError  # pragma: no cover

    def _object(self, start: int, depth: int) -> Node:
        node = Node(start, {})
        for position in self._elements(node, "}"):
            if self._text[position : position + 1] != '"':
                self._refuse("a key in double quotes", position)
            key, end = self._string(position)
            if key in node.members:
                raise JsoncError(f"`{key}` is there twice", self._text, position)
            colon = self.skip(end)
            if self._text[colon : colon + 1] != ":":
                self._refuse("`:`", colon)
            inner = self.value(self.skip(colon + 1), depth + 1)
            node.members[key] = JsonMember(position, inner)
            node.value[key] = inner.value
            node.end = inner.end
        return node

    def _array(self, start: int, depth: int) -> Node:
        node = Node(start, [])
        for position in self._elements(node, "]"):
            inner = self.value(position, depth + 1)
            node.items.append(inner)
            node.value.append(inner.value)
            node.end = inner.end
        return node

    def _elements(self, node: Node, closing: str) -> Iterator[int]:
        """Yield where each element starts; whoever takes one leaves where it ends in ``node.end``."""
        position = self.skip(node.start + 1)
        while self._text[position : position + 1] != closing:
            yield position
            position = self.skip(node.end)
            if self._text[position : position + 1] == ",":
                position = self.skip(position + 1)
            elif self._text[position : position + 1] != closing:
                self._refuse(f"`,` or `{closing}`", position)
        node.end = position + 1

    def _string(self, start: int) -> tuple[str, int]:
        match = _STRING.match(self._text, start)
        if match is None:
            raise JsoncError("text that does not end on its line", self._text, start)
        try:
            return json.loads(match[0]), match.end()
        except ValueError as error:
            raise JsoncError("an escape that JSON does not have", self._text, start) from error

    def _refuse(self, expected: str, position: int) -> None:
        found = self._text[position : position + 1]
        shown = f"`{found}`" if found.strip() else "the end"
        if found == "/":
            shown = "a comment that does not end"
        raise JsoncError(f"{expected} is missing; there is {shown}", self._text, position)


def _style(text: str) -> _Style:
    """Return how ``text`` is laid out: its line ends, and the indentation of its first member."""
    newline = "\r\n" if "\r\n" in text else "\n"
    first = re.search(r"^([ \t]+)\"", text, re.MULTILINE)
    return _Style(newline, first[1] if first else "    ")


def _insert(text: str, node: Node, ends: Sequence[int], element: str, closing: str) -> str:
    """Return ``text`` with a further element, on a line of its own, in the object or array ``node``.

    ``ends`` is where the elements before it end; ``closing`` starts the line of the closing bracket.
    """
    if not ends:
        has_comment = text[node.start + 1 : node.end - 1].strip()
        head = text[: node.end - 1].rstrip() if has_comment else text[: node.start + 1]
        return head + element + closing + text[node.end - 1 :]
    last = ends[-1]
    comma = _comma_after(text, last)
    after = _line_end(text, last if comma is None else comma + 1)
    if comma is None:
        text, after = f"{text[:last]},{text[last:]}", after + 1
    else:
        element += ","
    if "\n" in text[after : node.end + 1]:
        return text[:after].rstrip(" \t") + element + text[after:]
    return text[:after].rstrip(" \t") + element + closing + text[after:].lstrip(" \t")


def _cut(text: str, elements: Sequence[JsonMember | Node], index: int) -> str:
    """Return ``text`` without one element, its comma, and the line it leaves empty."""
    element = elements[index]
    start, end = element.start, element.end
    comma = _comma_after(text, end)
    if comma is not None:
        end = comma + 1
    elif index:  # the last one, without a comma of its own: the one before it goes
        before = elements[index - 1].end
        comma = _comma_after(text, before)
        if comma is not None:
            text = text[:comma] + text[comma + 1 :]
            start, end = start - 1, end - 1
    line_start = text.rfind("\n", 0, start) + 1
    line_end = _line_end(text, end)
    if not text[line_start:start].strip() and text[line_end : line_end + 2].startswith(("\n", "\r\n")):
        return text[:line_start] + text[text.index("\n", line_end) + 1 :]
    return text[:start].rstrip(" ") + text[end:] if index else text[:start] + text[end:].lstrip(" ")


def _without_empty(text: str, path: Path) -> str:
    if not path:
        return text
    node = find(parse(text), path)
    empty = node is not None and not node.value and isinstance(node.value, (dict, list))
    if node is None or not empty or text[node.start + 1 : node.end - 1].strip():
        return text
    return remove(text, path)


def _comma_after(text: str, position: int) -> int | None:
    match = _SPACE.match(text, position)
    place = match.end() if match else position
    return place if text[place : place + 1] == "," else None


def _line_end(text: str, position: int) -> int:
    """Return where the line of ``position`` ends when only space and comments follow, else ``position``."""
    match = _SPACE_IN_LINE.match(text, position)
    end = match.end() if match else position
    return end if text[end : end + 1] in {"", "\r", "\n"} else position
