"""Dockerfiles as instructions, each part with its line.

Format: Docker documentation, "Dockerfile reference": parser directives, line continuation, here-documents.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from envbuild.discovery.commands.numbered_text import NumberedText, joined

KEYWORDS: Final = frozenset({
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
    "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
})  # fmt: skip

MOST_INSTRUCTIONS: Final = 5000

_DIRECTIVE: Final = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_HEREDOC: Final = re.compile(r"(?<!<)<<(-?)\s*([\"']?)([A-Za-z0-9_.-]+)\2")
_WITH_HEREDOC: Final = frozenset({"RUN", "COPY", "ADD"})
_FLAG: Final = re.compile(r"\s*--([a-z-]+)(?:=(\"[^\"]*\"|\S*))?(?=\s|$)")
_KEYWORD: Final = re.compile(r"\s*([A-Za-z]+)(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document of an instruction."""

    name: str
    body: NumberedText
    expands: bool
    """Whether variables in it are replaced: its name is not quoted."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile."""

    keyword: str
    """In capitals; any word, known or not."""

    arguments: NumberedText
    """Lines joined, comments and flags left out."""

    line: int
    flags: tuple[tuple[str, str], ...] = ()
    """``--from=builder`` as ``("from", "builder")``."""

    heredocs: tuple[Heredoc, ...] = ()
    is_complete: bool = True
    """False: a here-document of it does not end."""

    def flag(self, name: str) -> str | None:
        """Return the value of a flag, or None where it is not there."""
        return next((value for flag, value in self.flags if flag == name), None)

    @property
    def source(self) -> str:
        """The instruction on one line, shortened."""
        text = f"{self.keyword} {' '.join(self.arguments.text.split())}".strip()
        return text if len(text) <= 70 else f"{text[:69]}…"  # noqa: PLR2004


def read_instructions(text: str) -> Iterator[Instruction]:
    """Yield the instructions of a Dockerfile, at most :data:`MOST_INSTRUCTIONS`."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    escape = _escape(lines)
    continuation = re.compile(rf"{re.escape(escape)}[ \t]*$")
    position = 0
    for _ in range(MOST_INSTRUCTIONS):
        parts, position = _logical_line(lines, position, continuation)
        if not parts:
            return
        instruction = _instruction(parts)
        if instruction.keyword in _WITH_HEREDOC:
            heredocs, position, is_complete = _heredocs(instruction, lines, position)
            if heredocs:
                instruction = Instruction(
                    instruction.keyword, instruction.arguments, instruction.line,
                    instruction.flags, heredocs, is_complete,
                )  # fmt: skip
        yield instruction


def exec_form(text: str) -> list[str] | None:
    """Return the words of a JSON array of strings, or None where ``text`` is none."""
    if not text.strip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _escape(lines: list[str]) -> str:
    """Return the character that continues lines; directives stand before everything else."""
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape" and match[2] in {"\\", "`"}:
            return match[2]
    return "\\"


def _logical_line(
    lines: list[str], position: int, continuation: re.Pattern[str]
) -> tuple[list[tuple[str, int]], int]:
    """Return the next line that says something, its parts numbered, and where the one after it starts."""
    parts: list[tuple[str, int]] = []
    while position < len(lines):
        line, number = lines[position], position + 1
        position += 1
        stripped = line.strip()
        if stripped.startswith("#") or not stripped:
            continue
        match = continuation.search(line)
        parts.append((line[: match.start()] if match else line, number))
        if match is None:
            break
    return parts, position


def _instruction(parts: list[tuple[str, int]]) -> Instruction:
    line = joined(parts)
    match = _KEYWORD.match(line.text)
    start = match.end() if match else 0
    keyword = match[1].upper() if match else ""
    flags: list[tuple[str, str]] = []
    while keyword in KEYWORDS and (flag := _FLAG.match(line.text, start)):
        flags.append((flag[1], (flag[2] or "").strip('"')))
        start = flag.end()
    rest = line.from_offset(start + len(line.text[start:]) - len(line.text[start:].lstrip()))
    return Instruction(keyword, rest, parts[0][1], tuple(flags))


def _heredocs(
    instruction: Instruction, lines: list[str], position: int
) -> tuple[tuple[Heredoc, ...], int, bool]:
    """Return the here-documents an instruction announces, and where the line after them starts."""
    found: list[Heredoc] = []
    is_complete = True
    for strips_tabs, quote, name in _HEREDOC.findall(instruction.arguments.text):
        body: list[tuple[str, int]] = []
        while position < len(lines):
            line = lines[position].lstrip("\t") if strips_tabs else lines[position]
            position += 1
            if line == name:
                break
            body.append((line, position))
        else:
            is_complete = False
        found.append(Heredoc(name, joined(body, between="\n"), not quote))
    return tuple(found), position, is_complete
