"""Values that stand for what a Python file computes, and the pure functions that make them."""

import ast
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

MOST_ITEMS = 10_000
"""Items of one list."""

MOST_TEXT = 200_000
"""Characters of one text."""

_SLOW_PATTERN = re.compile(r"\)[*+{]|\([^?]?[^)]*\\[1-9]")
_MOST_SEARCHED = 1000

Scope = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unknown:
    """What cannot be told without running the file."""

    line: int
    what: str


@dataclass(frozen=True, slots=True)
class FileText:
    """Text of a file, or what is made of it; relative to the folder of the Python file."""

    file: str


class PathValue(str):
    """A path relative to the folder of the Python file."""

    __slots__ = ()


class CannotTellError(Exception):
    """An expression is not covered by any rule."""

    def __init__(self, node: ast.AST, what: str) -> None:
        super().__init__(what)
        self.unknown = Unknown(getattr(node, "lineno", 1), what)


class FunctionReturn(Exception):  # noqa: N818 - how a function ends
    """A function that is followed returns."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class TooMuchError(Exception):
    """A file makes more work than anybody would write."""


class LoopControl(Exception):  # noqa: N818 - no error
    """``continue`` or ``break``."""


TEXT_METHODS = frozenset(
    {
        "strip", "lstrip", "rstrip", "split", "splitlines", "lower", "upper", "replace", "startswith",
        "endswith", "format", "join", "removeprefix", "removesuffix", "partition", "rpartition", "title",
    }
)  # fmt: skip


def _folder_of(paths: Sequence[str]) -> PathValue:
    return PathValue(posixpath.dirname(paths[0]) if paths else "")


def _same(paths: Sequence[str]) -> PathValue:
    return PathValue(paths[0] if paths else "")


def _join(paths: Sequence[str]) -> PathValue:
    return PathValue(posixpath.normpath(posixpath.join("", *paths)))


PATH_CALLS: Mapping[str, Callable[[Sequence[str]], PathValue]] = {
    "os.path.dirname": _folder_of,
    "path.dirname": _folder_of,
    "dirname": _folder_of,
    "os.path.abspath": _same,
    "os.path.realpath": _same,
    "path.abspath": _same,
    "abspath": _same,
    "realpath": _same,
    "os.path.join": _join,
    "path.join": _join,
    "join": _join,
    "Path": _same,
    "pathlib.Path": _same,
    "os.getcwd": lambda _: PathValue(""),
}


def _find_all(pattern: str, text: str) -> list[Any]:
    """Return what a pattern finds; patterns that may take long are none."""
    if _SLOW_PATTERN.search(pattern) or max(len(pattern), len(text)) > _MOST_SEARCHED:
        raise ValueError
    return [list(found) if isinstance(found, tuple) else found for found in re.findall(pattern, text)]


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float)):
        raise TypeError
    return str(value)


def text_size(values: Sequence[Any]) -> int:
    """Return the characters of texts, and of lists of texts.

    :raises TypeError: there is something else.
    """
    size = 1
    for value in values:
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, (str, int)) for item in items):
            raise TypeError
        size += sum(len(str(item)) + 1 for item in items)
    return size


def _flat_sum(lists: Sequence[Any], start: Any = ()) -> list[Any]:
    items = (item for part in lists for item in part)
    return [*start, *islice(items, MOST_ITEMS)]


CALLS: Mapping[str, Callable[..., Any]] = {
    "list": lambda items=(): list(items),
    "tuple": lambda items=(): list(items),
    "set": lambda items=(): sorted({item for item in items if isinstance(item, str)}),
    "sorted": sorted,
    "dict": lambda items=(): dict(items),
    "str": _text,
    "len": len,
    "sum": _flat_sum,
    "re.findall": _find_all,
    "findall": _find_all,
    "platform.system": lambda: "Linux",
    "platform.machine": lambda: "x86_64",
    "chain": lambda *lists: _flat_sum(lists),
    "itertools.chain": lambda *lists: _flat_sum(lists),
    "chain.from_iterable": _flat_sum,
    "itertools.chain.from_iterable": _flat_sum,
}
