"""Variables in words of shells and Dockerfiles: ``$NAME``, ``${NAME}``, ``${NAME:-default}``.

What no value is known for is never guessed: the word it stands in is then unknown, and says why.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 65536
"""Characters of an expanded text; each line can double what the line before it made."""

_DEEPEST: Final = 8
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+=?])(.*))?", re.DOTALL)

_CUT: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<operator>%%?|##?|//?)(?P<rest>.*)", re.DOTALL)
_LONGEST_CUT: Final = 1000

Variables = Mapping[str, str | None]
"""Values by name; None: it has a value that is not known."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a text with variables stands for."""

    text: str
    unknown: str | None = None
    """What in it is not known, as it is written: ``$(nproc)``, ``$NAME``."""


def expand(text: str, variables: Variables, depth: int = 0) -> Expansion:
    """Return ``text`` with its variables replaced; a backslash before ``$`` keeps it."""
    parts: list[str] = []
    unknown: str | None = None
    position = length = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in {"$", "\\"}:
            part, position = text[position + 1], position + 2
        elif character == "$":
            found, position = variable_at(text, position, variables, depth)
            part, unknown = found.text, unknown or found.unknown
        else:
            part, position = character, position + 1
        parts.append(part)
        length += len(part)
        if length > LONGEST:
            return Expansion("", f"a value of more than {LONGEST} characters")
    return Expansion("".join(parts), unknown)


def variable_at(text: str, start: int, variables: Variables, depth: int = 0) -> tuple[Expansion, int]:
    """Return what the ``$`` at ``start`` begins stands for, and where it ends."""
    following = text[start + 1 : start + 2]
    if following == "{":
        end = closing(text, start + 1, "{", "}")
        return _braced(text[start : end + 1], variables, depth), end + 1
    if following == "(":
        end = closing(text, start + 1, "(", ")")
        return Expansion("", _shown(text[start : end + 1])), end + 1
    if name := _NAME.match(text, start + 1):
        return _value(name[0], f"${name[0]}", variables), name.end()
    if following and following in "0123456789?@*#$!-":
        return Expansion("", f"${following}"), start + 2
    return Expansion("$"), start + 1


def closing(text: str, start: int, opening: str, end: str) -> int:
    """Return where the bracket at ``start`` is closed; the end of the text where it is not."""
    depth = 0
    position = start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == opening:
            depth += 1
        elif character == end:
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return len(text)


def _braced(written: str, variables: Variables, depth: int) -> Expansion:
    inner = written.removeprefix("${").removesuffix("}")
    if match := _CUT.fullmatch(inner):
        return _cut(match, written, variables)
    match = _BRACED.fullmatch(inner)
    if match is None or depth > _DEEPEST:
        return Expansion("", _shown(written))
    name, operator, word = match[1], match[2] or "", match[3] or ""
    if name in variables and variables[name] is None:
        return Expansion("", f"${{{name}}}")
    value = variables.get(name)
    is_set = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith(("-", "=")) and not is_set:
        return expand(word, variables, depth + 1)
    if operator.endswith("+"):
        return expand(word, variables, depth + 1) if is_set else Expansion("")
    return _value(name, f"${{{name}}}", variables)


def _cut(match: re.Match[str], written: str, variables: Variables) -> Expansion:
    """Return a value without its beginning or end, or with parts replaced: ``${V%.*}``, ``${V//./}``."""
    value, operator = variables.get(match["name"]), match["operator"]
    if value is None or any(mark in match["rest"] for mark in "$`[\\\"'") or len(value) > _LONGEST_CUT:
        return Expansion("", _shown(written))
    if operator in {"/", "//"}:
        pattern, _, new = match["rest"].partition("/")
        count = 1 if operator == "/" else 0
        return Expansion(re.sub(_glob(pattern, "*"), lambda _: new, value, count=count) if pattern else value)
    # a doubled mark takes off the longest part
    pattern = _glob(match["rest"], "*" if len(operator) == 2 else "*?")  # noqa: PLR2004
    if operator.startswith("#"):
        found = re.match(pattern, value, re.DOTALL)
        return Expansion(value[found.end() :] if found else value)
    # from the end the search for the shortest part starts at the end
    starts = range(len(value) + 1) if len(operator) == 2 else range(len(value), -1, -1)  # noqa: PLR2004
    whole = re.compile(_glob(match["rest"], "*"), re.DOTALL)
    start = next((start for start in starts if whole.fullmatch(value, start)), len(value))
    return Expansion(value[:start])


def _glob(pattern: str, star: str) -> str:
    """Return a pattern of a shell as a regular expression; ``star`` is how many characters ``*`` takes."""
    return "".join(f".{star}" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in pattern)


def _value(name: str, written: str, variables: Variables) -> Expansion:
    value = variables.get(name)
    return Expansion("", written) if value is None else Expansion(value)


def _shown(written: str) -> str:
    line = " ".join(written.split())
    return line if len(line) <= 40 else f"{line[:37]}…"  # noqa: PLR2004
