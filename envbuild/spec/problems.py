"""What is wrong with a value, and where: field paths as the user wrote them, messages in plain words."""

import difflib
import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from envbuild.errors import Problem

PathPart = str | int
FieldPath = tuple[PathPart, ...]

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((int, float), "a number"),
    (str, "a string"),
    (dict, "a table"),
    ((list, tuple), "a list"),
    (date, "a date"),
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class RefusedError(ValueError):
    """One value is not acceptable; whoever knows its place makes a problem of it with :meth:`at`."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def at(self, where: str) -> Problem:
        """Return the problem this is at ``where``."""
        return Problem(where, self.message, self.hint)


class WrittenFloat(float):
    """A TOML float that remembers its digits: ``3.10`` must be quoted back as ``3.10``, not ``3.1``."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "WrittenFloat":
        """Return the number ``text`` writes."""
        number = cls(text)
        number.text = text
        return number


def field_path(parts: Iterable[PathPart]) -> str:
    """Return a path as a reader of the file would write it: ``variants.cpu.pip.packages[2]``."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        key = part if _BARE_KEY.fullmatch(part) else f'"{part}"'
        text += f".{key}" if text else key
    return text


def kind_of(value: Any) -> str:
    """Return what a TOML value is, in words."""
    if isinstance(value, bool):
        return as_written(value)
    return next((words for kind, words in _KINDS if isinstance(value, kind)), "a time")


def as_written(value: Any) -> str:
    """Return a scalar TOML value with the characters the user typed, as far as they matter."""
    match value:
        case bool():
            return str(value).lower()
        case WrittenFloat():
            return value.text
        case _:
            return str(value)


def near(name: str, known: Iterable[str]) -> str | None:
    """Return a hint naming what ``name`` may have meant, or None when nothing comes close."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None


def alternatives(names: Sequence[str]) -> str:
    """Return ``names`` as a choice in prose."""
    quoted = [f"`{name}`" for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)
