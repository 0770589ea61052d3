"""Words of a POSIX shell: quotes, backslashes and variables, as far as these are known."""

import re
from dataclasses import dataclass

from envbuild.discovery.commands.variables import variable_at


@dataclass(frozen=True, slots=True)
class ShellWord:
    """One word of a command."""

    text: str
    """Quotes taken off, variables replaced as far as they are known."""

    line: int
    unknown: str | None = None
    """What in it is not known, as it is written."""

    is_plain: bool = True
    """Whether nothing of it was quoted."""


def read_word(
    text: str, start: int, line: int, variables: dict[str, str | None]
) -> tuple[list[ShellWord], int]:
    """Return what the word at ``start`` stands for, and where it ends.

    Several words, or none, where variables outside quotes make them.
    """
    reader = _WordReader(text, start, line, variables)
    end = reader.read()
    return reader.words(), end


class _WordReader:
    """Reads one word: quotes, backslashes, variables."""

    def __init__(self, text: str, start: int, line: int, variables: dict[str, str | None]) -> None:
        self._text, self._position, self._line, self._variables = text, start, line, variables
        self._parts: list[tuple[str, bool]] = []
        """Text, and whether it is split at spaces: that of variables outside quotes."""

        self._unknown: str | None = None
        self._is_plain = True

    def read(self) -> int:
        """Read the word; return where it ends."""
        text = self._text
        while self._position < len(text):
            character = text[self._position]
            if character in " \t\r\n;|&()<>":
                break
            self._step(character)
        return self._position

    def words(self) -> list[ShellWord]:
        """Return the words it stands for: several, or none, where variables outside quotes make them."""
        pieces = [""]
        seen = not self._is_plain
        for text, splits in self._parts:
            if not splits:
                pieces[-1] += text
                seen = True
                continue
            first, *others = re.split(r"\s+", text)
            pieces[-1] += first
            pieces += others
        found = [piece for piece in pieces if piece] or ([""] if seen or self._unknown else [])
        return [ShellWord(piece, self._line, self._unknown, self._is_plain) for piece in found]

    def _step(self, character: str) -> None:
        text, start = self._text, self._position
        if character == "'":
            end = text.find("'", start + 1)
            if end < 0:
                end = len(text)
                self._unknown = "a quote that does not end"
            self._add(text[start + 1 : end], end + 1, is_quoted=True)
        elif character == '"':
            self._double_quoted()
        elif character == "\\":
            following = text[start + 1 : start + 2]
            self._add("" if following == "\n" else following, start + 2, is_quoted=True)
        elif character in "$`":
            self._variable(is_quoted=False)
        else:
            self._add(character, start + 1)

    def _double_quoted(self) -> None:
        self._is_plain = False
        self._position += 1
        text = self._text
        while self._position < len(text) and text[self._position] != '"':
            character = text[self._position]
            if character == "\\" and text[self._position + 1 : self._position + 2] in {
                '"',
                "\\",
                "$",
                "`",
                "\n",
            }:
                following = text[self._position + 1]
                self._add("" if following == "\n" else following, self._position + 2)
            elif character in "$`":
                self._variable(is_quoted=True)
            else:
                self._add(character, self._position + 1)
        if self._position >= len(text):
            self._unknown = "a quote that does not end"
        self._parts.append(("", False))
        self._position += 1

    def _variable(self, *, is_quoted: bool) -> None:
        start = self._position
        if self._text[start] == "`":
            end = self._text.find("`", start + 1)
            self._position = len(self._text) if end < 0 else end + 1
            self._unknown = self._unknown or " ".join(self._text[start : self._position].split())
            return
        found, self._position = variable_at(self._text, start, self._variables)
        self._unknown = self._unknown or found.unknown
        self._parts.append((found.text, not is_quoted and found.text != "$"))

    def _add(self, text: str, end: int, *, is_quoted: bool = False) -> None:
        self._parts.append((text, False))
        self._position = end
        self._is_plain = self._is_plain and not is_quoted
