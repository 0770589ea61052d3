"""Scripts of a POSIX shell as simple commands, without running anything.

The standard library's ``shlex`` keeps neither quotes nor lines, and both matter: ``'$X'`` is no variable, and
each finding names its line.  What is no simple command (a pipe, a condition, a loop, a redirection into a
file) comes out as one refused command that says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from envbuild.discovery.commands.numbered_text import NumberedText
from envbuild.discovery.commands.shell_words import ShellWord, read_word

_OPERATORS: Final = (
    "&&", "||", ";;", "<<<", "<<-", "<<", ">>", "&>>", "&>", "<&", ">&", ">|", ";", "|", "&", "(", ")",
    "<", ">",
)  # fmt: skip
_LONGEST_FIRST: Final = tuple(sorted(_OPERATORS, key=len, reverse=True))
_REDIRECTIONS: Final = frozenset({">", ">>", "<", "<&", ">&", "&>", "&>>", ">|", "<<", "<<-", "<<<"})
_ENDS: Final = frozenset({"\n", ";", "&&", ";;"})
_BLOCKS: Final = {"if": "fi", "for": "done", "while": "done", "until": "done", "case": "esac", "{": "}"}
_BLOCK_NAMES: Final = {
    "if": "a condition", "case": "a condition", "for": "a loop", "while": "a loop", "until": "a loop",
    "{": "a group of commands", "(": "a subshell",
}  # fmt: skip
_TESTS: Final = frozenset({"[", "[[", "test"})
_HARMLESS_ALTERNATIVES: Final = frozenset({"true", ":", "exit", "echo"})
_NOWHERE: Final = frozenset({"/dev/null", "&1", "&2", "1", "2", "/dev/stderr", "/dev/stdout"})
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_CONTINUED: Final = re.compile(r"\\\r?\n")
_VERSION: Final = re.compile(r"=?\s*[0-9][A-Za-z0-9.*+!]*(,.*)?")
_SHOWN: Final = 70


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """One command of a script."""

    words: tuple[ShellWord, ...]
    """Without assignments before it."""

    assignments: tuple[tuple[str, ShellWord], ...]
    line: int
    source: str
    """How it is written, on one line and shortened."""

    refused: str | None = None
    """Why its words are not known: ``a pipe``."""

    redirected_bounds: tuple[str, ...] = ()
    """Bounds of versions that the shell takes for redirections: ``torch>=2.0`` without quotes."""


@dataclass(slots=True)
class _Token:
    kind: str
    """``word``, or the operator itself."""

    start: int
    end: int
    words: list[ShellWord] = field(default_factory=list)
    """What the word stands for: several where a variable holds several."""


@dataclass(slots=True)
class _Statement:
    """Tokens up to where the next command starts."""

    tokens: list[_Token] = field(default_factory=list)
    refused: str | None = None


def read_commands(script: NumberedText, variables: dict[str, str | None]) -> Iterator[ShellCommand]:
    """Yield the commands of ``script``; what it assigns on the way is kept in ``variables``."""
    reader = _TokenReader(script, variables)
    while (statement := _statement(reader)) is not None:
        if not statement.tokens:
            continue
        command = _command(script, statement)
        if command.refused is None and not command.words:
            variables.update(
                (name, None if word.unknown else word.text) for name, word in command.assignments
            )
            continue
        yield command


def _statement(reader: "_TokenReader") -> _Statement | None:
    """Return the tokens of the next command, with all that belongs to it; None at the end."""
    statement = _Statement()
    guard: str | None = None
    while (token := reader.next()) is not None:
        first = not statement.tokens
        if token.kind in {"\n", ";", ";;"} or (token.kind == "&&" and guard is None):
            if first:
                continue
            if token.kind == "&&" and _is_test(statement):
                guard = "a condition"
                statement.refused = guard
                continue
            return statement
        if token.kind == "||":
            _alternative(reader, statement)
            return statement
        statement.tokens.append(token)
        if token.kind == "|":
            statement.refused = statement.refused or "a pipe"
        elif token.kind == "&":
            statement.refused = statement.refused or "a command in the background"
            return statement
        elif token.kind in {"<<", "<<-"}:
            reader.skip_heredoc(statement)
            return statement
        elif first and (block := _block_of(token)):
            reader.skip_block(block, statement)
    return statement if statement.tokens else None


def _is_test(statement: _Statement) -> bool:
    first = statement.tokens[0]
    return first.kind == "word" and bool(first.words) and first.words[0].text in _TESTS


def _block_of(token: _Token) -> str | None:
    if token.kind == "(":
        return "("
    word = token.words[0] if token.kind == "word" and token.words else None
    return word.text if word and word.is_plain and word.text in _BLOCKS else None


def _alternative(reader: "_TokenReader", statement: _Statement) -> None:
    """Take in what follows ``||``: nothing that matters, or a second way, which is not guessed."""
    harmless: bool | None = None
    extra: list[_Token] = []
    while (token := reader.next()) is not None and token.kind not in _ENDS:
        if harmless is None and token.kind == "word" and token.words:
            harmless = token.words[0].text in _HARMLESS_ALTERNATIVES
        extra.append(token)
    if not harmless:
        statement.tokens += extra
        statement.refused = statement.refused or "a condition"


def _command(script: NumberedText, statement: _Statement) -> ShellCommand:
    tokens = statement.tokens
    source = " ".join(script.text[tokens[0].start : tokens[-1].end].split())
    source = source if len(source) <= _SHOWN else f"{source[: _SHOWN - 1]}…"
    line = script.line_at(tokens[0].start)
    if statement.refused:
        return ShellCommand((), (), line, source, statement.refused)
    words: list[ShellWord] = []
    assignments: list[tuple[str, ShellWord]] = []
    bounds: list[str] = []
    position = 0
    refused = None
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.kind in _REDIRECTIONS:
            target = tokens[position] if position < len(tokens) else None
            position += 1
            refused = refused or _redirection(script, token, target, bounds)
        elif token.kind != "word":
            refused = refused or f"`{token.kind}`"
        elif not words and (match := _ASSIGNMENT.match(script.text, token.start, token.end)):
            assignments.append((match[0][:-1], _joined(token, match[0])))
        else:
            words += token.words
    return ShellCommand(tuple(words), tuple(assignments), line, source, refused, tuple(bounds))


def _joined(token: _Token, prefix: str) -> ShellWord:
    text = " ".join(word.text for word in token.words).removeprefix(prefix)
    unknown = next((word.unknown for word in token.words if word.unknown), None)
    return ShellWord(text, token.words[0].line if token.words else 0, unknown)


def _redirection(script: NumberedText, token: _Token, target: _Token | None, bounds: list[str]) -> str | None:
    """Return why a redirection cannot be passed over; None where it only throws output away."""
    text = target.words[0].text if target and target.kind == "word" and target.words else ""
    if token.kind in {">", "<"} and _VERSION.fullmatch(text):
        before = re.search(r"\S*$", script.text[: token.start])
        bounds.append(f"{before[0] if before else ''}{token.kind}{text}")
        return None
    if text in _NOWHERE:
        return None
    return "input from elsewhere" if token.kind.startswith("<") else "a redirection into a file"


class _TokenReader:
    """Reads one token after the other; words are expanded with what is assigned by then."""

    def __init__(self, script: NumberedText, variables: dict[str, str | None]) -> None:
        self._script, self._text, self._variables = script, script.text, variables
        self._position = 0

    def next(self) -> _Token | None:
        """Return the next token, or None at the end."""
        text = self._text
        while self._position < len(text):
            character = text[self._position]
            if character in " \t\r":
                self._position += 1
            elif continued := _CONTINUED.match(text, self._position):
                self._position = continued.end()
            elif character == "#":
                end = text.find("\n", self._position)
                self._position = len(text) if end < 0 else end
            elif character == "\n":
                self._position += 1
                return _Token("\n", self._position - 1, self._position)
            else:
                return self._operator() or self._word()
        return None

    def skip_heredoc(self, statement: _Statement) -> None:
        """Pass over the body of a here-document, whose delimiter comes next."""
        statement.refused = "a here-document"
        token = self.next()
        end = token.words[0].text if token and token.words else ""
        if token:
            statement.tokens.append(token)
        found = re.compile(rf"^[\t ]*{re.escape(end)}[ \t\r]*$", re.MULTILINE).search(
            self._text, self._position
        )
        self._position = found.end() if found else len(self._text)

    def skip_block(self, opening: str, statement: _Statement) -> None:
        """Pass over what belongs to an ``if``, a loop, a group or a subshell."""
        statement.refused = _BLOCK_NAMES[opening]
        ends = [")" if opening == "(" else _BLOCKS[opening]]
        is_first = True
        while ends and (token := self.next()) is not None:
            if token.kind == "\n":
                is_first = True
                continue
            statement.tokens.append(token)
            block = _block_of(token) if is_first or token.kind == "(" else None
            word = token.words[0].text if token.words and token.words[0].is_plain else token.kind
            if block:
                ends.append(")" if block == "(" else _BLOCKS[block])
            elif word == ends[-1]:
                ends.pop()
            is_first = token.kind != "word" or word in {"then", "do", "else", "elif"}

    def _operator(self) -> _Token | None:
        start = self._position
        for operator in _LONGEST_FIRST:
            if self._text.startswith(operator, start):
                self._position += len(operator)
                return _Token(operator, start, self._position)
        return None

    def _word(self) -> _Token:
        start = self._position
        words, self._position = read_word(self._text, start, self._script.line_at(start), self._variables)
        following = self._text[self._position : self._position + 1]
        if following in {"<", ">"} and self._text[start : self._position].isdigit():
            # the number of what is redirected: 2>&1
            operator = self._operator()
            if operator:
                return operator
        return _Token("word", start, self._position, words)
