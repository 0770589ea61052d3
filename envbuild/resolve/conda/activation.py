"""What activating a package sets, worked out from its script without running it.

Locking never runs a package's code, so the small part of the shell that activation scripts are written in is
read here: assignments, ``export``, ``unset``, ``if`` with tests of variables and of the package's own files.
Whatever else a script does is passed over and its line told, so that a person can decide.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(
    r"\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<op>:?[-+=])(?P<word>[^{}]*))?\})"
)
_OPENING = re.compile(r"(?:if|for|while|until|case)\b|(?:function\s+)?[\w-]+\s*\(\)|\{$")
_CLOSING = re.compile(r"(?:fi|done|esac|\})\b|\}")
_NOTHING = re.compile(r"(?::|true|return(?:\s+0)?|set\s+[-+]\w+|local\s+\w+)")

KEPT_OPEN = "PATH"
"""The one variable scripts add to: what it had before stays a reference in the value."""


class UnknownError(Exception):
    """Something that cannot be worked out without running it."""


@dataclass(slots=True)
class Activation:
    """What came of reading scripts."""

    env: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    """``script:line``."""


@dataclass(slots=True)
class _Shell:
    """A shell that never runs anything."""

    script: str
    prefix: str
    files: Collection[str]
    """Paths of the package, below the prefix."""

    result: Activation
    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)

    def run(self, text: str) -> None:
        """Read a script."""
        self.variables |= {"CONDA_PREFIX": self.prefix, KEPT_OPEN: "${PATH}"}
        # of each `if` around here: whether this branch runs, whether one did, whether all of it is unknown
        blocks: list[list[bool]] = []
        skipping = 0
        for number, statement in _statements(text):
            if skipping:
                skipping += len(re.findall(r"\b(?:if|for|while|until|case)\b|\{", statement))
                skipping -= len(re.findall(r"\b(?:fi|done|esac)\b|\}", statement))
                continue
            word = statement.split(maxsplit=1)[0]
            if word in {"if", "elif", "else", "fi"}:
                self._branch(word, statement, number, blocks)
            elif word == "then" or not all(block[0] for block in blocks):
                continue
            elif _OPENING.match(statement):
                self._unread(number)
                skipping = 0 if re.search(r"\b(?:fi|done|esac)\b|\}\s*$", statement) else 1
            else:
                try:
                    self._list(statement)
                except UnknownError:
                    self._unread(number)

    def _branch(self, word: str, statement: str, number: int, blocks: list[list[bool]]) -> None:
        around = all(block[0] for block in blocks)
        if word == "if":
            runs, unknown = self._judge(statement[2:], number) if around else (False, False)
            blocks.append([runs, runs or unknown])
        elif not blocks:
            self._unread(number)
        elif word == "fi":
            blocks.pop()
        else:
            outside = all(block[0] for block in blocks[:-1])
            done = blocks[-1][1]
            if not outside or done:
                blocks[-1][0] = False
            else:
                runs, unknown = self._judge(statement[4:], number) if word == "elif" else (True, False)
                blocks[-1] = [runs, runs or unknown]

    def _judge(self, condition: str, number: int) -> tuple[bool, bool]:
        try:
            return self._condition(condition.strip()), False
        except UnknownError:
            self._unread(number)
            return False, True

    def _unread(self, number: int) -> None:
        self.result.unread.append(f"{self.script}:{number}")

    def _list(self, statement: str) -> None:
        """Run commands joined by ``&&`` and ``||``."""
        parts = _split(statement, ("&&", "||"))
        succeeded = True
        for operator, command in parts:
            if (operator == "&&" and not succeeded) or (operator == "||" and succeeded):
                continue
            succeeded = self._command(command.strip())

    def _command(self, command: str) -> bool:
        if command.startswith(("[", "test ", "! ")):
            return self._condition(command)
        if _NOTHING.fullmatch(command):
            return True
        words = _words(command)
        match words:
            case ["unset", *names]:
                for name in names:
                    self.variables.pop(name, None)
                    self.exported.discard(name)
            case ["export", *assignments] | ["declare" | "typeset", "-x", *assignments]:
                self._assign(assignments, exporting=True)
            case _:
                self._assign(words, exporting=False)
        return True

    def _assign(self, words: list[str], *, exporting: bool) -> None:
        for word in words:
            match = _ASSIGNMENT.fullmatch(word)
            if match:
                self.variables[match[1]] = self._expand(match[2])
            elif not (exporting and _NAME.fullmatch(word)):
                raise UnknownError
            name = match[1] if match else word
            if exporting:
                self.exported.add(name)
            if name in self.exported and name in self.variables:
                self.result.env[name] = self.variables[name]

    def _condition(self, text: str) -> bool:
        for operator in ("||", "&&"):
            parts = _split(text, (operator,))
            if len(parts) > 1:
                answers = [self._condition(part.strip()) for _, part in parts]
                return any(answers) if operator == "||" else all(answers)
        if text.startswith("! "):
            return not self._condition(text[2:].strip())
        inner = text
        for opening, closing in (("[[", "]]"), ("[", "]"), ("test ", "")):
            if text.startswith(opening) and text.endswith(closing):
                inner = text[len(opening) : len(text) - len(closing)]
                return self._test(_words(inner))
        raise UnknownError

    def _test(self, words: list[str]) -> bool:
        if words[:1] == ["!"]:
            return not self._test(words[1:])
        match words:
            case ["-n" | "-z" as operator, word]:
                return bool(self._expand(word)) == (operator == "-n")
            case ["-d" | "-e" | "-f" | "-x" | "-r" | "-s" | "-L" as operator, word]:
                return self._is_there(self._expand(word), is_folder=operator == "-d")
            case [left, "=" | "==" | "!=" as operator, right]:
                return (self._expand(left) == self._expand(right)) == (operator != "!=")
            case [word]:
                return bool(self._expand(word))
        raise UnknownError

    def _is_there(self, path: str, *, is_folder: bool) -> bool:
        if not path:
            return False
        name = path.removeprefix(f"{self.prefix}/").rstrip("/")
        if not path.startswith(f"{self.prefix}/"):
            raise UnknownError
        if any(file.startswith(f"{name}/") for file in self.files):
            return True
        if name in self.files:
            return not is_folder
        raise UnknownError  # it may be another package's

    def _expand(self, word: str) -> str:
        if "`" in word or "$(" in word:
            raise UnknownError
        return "".join(self._parts(word))

    def _parts(self, word: str) -> Iterator[str]:
        for quote, text in _quoted(word):
            if quote == "'":
                yield text
                continue
            yield self._substitute(text)

    def _substitute(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match["plain"] or match["name"]
            known = self.variables.get(name)
            operator, alternative = match["op"] or "", match["word"] or ""
            is_set = known is not None and (known != "" or not operator.startswith(":"))
            if operator.endswith("+"):
                return self._expand(alternative) if is_set else ""
            if operator and not is_set:
                return self._expand(alternative)
            return known or ""

        replaced = _PARAMETER.sub(value, text)
        if re.search(r"\$(?![{]PATH[}])", replaced):
            raise UnknownError
        return replaced


def read_activation(
    scripts: Mapping[str, str], *, prefix: str, files: Collection[str], preset: Mapping[str, str]
) -> Activation:
    """Return what ``scripts`` (name → text) of one package set, read in the order of their names.

    ``preset`` is what the package's ``env_vars.d`` sets first.
    """
    result = Activation(env=dict(preset))
    for name in sorted(scripts):
        shell = _Shell(script=name, prefix=prefix, files=files, result=result, variables=dict(preset))
        shell.run(scripts[name])
    result.env = dict(sorted(result.env.items()))
    return result


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with the number of its line; comments and continuations are taken out."""
    number = 0
    pending, start = "", 0
    for line in text.splitlines():
        number += 1
        start = start or number
        code = _without_comment(line)
        if code.rstrip().endswith("\\"):
            pending += code.rstrip()[:-1] + " "
            continue
        for _, statement in _split(pending + code, (";",)):
            plain = statement.strip()
            for keyword in ("then ", "else "):
                if plain.startswith(keyword):
                    yield start, keyword.strip()
                    plain = plain.removeprefix(keyword).strip()
            if plain:
                yield start, plain
        pending, start = "", 0


def _without_comment(line: str) -> str:
    kept, quote = "", ""
    for position, letter in enumerate(line):
        if letter == "#" and not quote and (position == 0 or line[position - 1] in " \t;"):
            break
        if letter in "'\"" and quote in {"", letter}:
            quote = "" if quote else letter
        kept += letter
    return kept


def _split(text: str, operators: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (operator before it, part) outside of quotes and of ``[[ … ]]``."""
    parts, operator, current, quote, depth = [], "", "", "", 0
    position = 0
    while position < len(text):
        letter = text[position]
        if letter in "'\"" and quote in {"", letter}:
            quote = "" if quote else letter
        if not quote:
            if text.startswith("[[", position):
                depth += 1
            elif text.startswith("]]", position):
                depth -= 1
            found = next((item for item in operators if text.startswith(item, position)), None)
            if found and depth <= 0 and not (found == ";" and text.startswith(";;", position)):
                parts.append((operator, current))
                operator, current = found, ""
                position += len(found)
                continue
        current += letter
        position += 1
    parts.append((operator, current))
    return parts


def _words(text: str) -> list[str]:
    """Return the words of a command, quotes kept."""
    if re.search(r"[<>|&`]|\$\(", re.sub(r"'[^']*'|\"[^\"`$]*\"", "", text)):
        raise UnknownError
    return re.findall(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+", text)


def _quoted(word: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"'([^']*)'|\"([^\"]*)\"|([^'\"]+)", word):
        if match[1] is not None:
            yield "'", match[1]
        else:
            yield "", match[2] if match[2] is not None else match[3]
