"""What activating a package sets, worked out from its script without running it.

Locking never runs a package's code, so the small part of the shell that activation scripts are written in is
read here: assignments, ``export``, ``unset``, ``if`` with tests of variables and of the package's own files.
Whatever else a script does is passed over and its line told, so that a person can decide; what it may have
set counts as unknown from there on, never as empty.

Tests see no variable but those of the scripts.  In a value a variable that may come from elsewhere, the base
or another package, stays a reference where the script says what holds without it (``${NAME:-WORD}``), to be
expanded for each image (:func:`expand_value`).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from envbuild.resolve.conda.shell import UnknownError, quoted, split, statements, words_of

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(
    r"\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<op>:?[-+=])(?P<word>[^{}]*))?\})"
)
_FUNCTION = re.compile(r"function\s+[\w-]+(?:\s*\(\))?|[\w-]+\s*\(\)")
_OPENING = re.compile(rf"(?:if|for|while|until|case)\b|{_FUNCTION.pattern}|\{{$")
_OPENS = re.compile(
    r"^(?:(?:do|then|else|!|\{)\s+)*(?:if|for|while|until|case|select)\b|(?:^|[\s)])\{(?=\s|$)"
)
_CLOSES = re.compile(r"(?:^|;;\s*)(?:fi|done|esac)\b|(?:^|\s)\}(?=[\s;)]|$)")
"""Of a statement; a word such as ``for`` counts only where a command begins, a brace where it is a word."""

_SET_SOMEWHERE = re.compile(r"(?:^|[\s;&|({])([A-Za-z_][A-Za-z0-9_]*)\+?=")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_DEFAULTED = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?P<op>:?-)(?P<word>[^{}$]*)\}")
_KEPT = re.compile(rf"\$\{{PATH\}}|{_DEFAULTED.pattern}")
_NOTHING = re.compile(r"(?::|true|return(?:\s+0)?|set\s+[-+]\w+|local\s+\w+)")

KEPT_OPEN = "PATH"
"""What every base sets: a reference to it stays one, whether or not the script minds its absence."""


@dataclass(slots=True)
class Activation:
    """What came of reading scripts."""

    env: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    """``script:line``."""


@dataclass(slots=True)
class _Block:
    """One ``if`` around a statement."""

    runs: bool
    """Whether the present branch does."""

    done: bool
    """Whether a branch ran, so that no later one does."""

    is_unknown: bool = False
    """Nobody knows which branch runs."""


@dataclass(slots=True)
class _Shell:
    """A shell that never runs anything.  One reads all scripts of a package, as one shell sources them."""

    prefix: str
    files: Collection[str]
    """Paths of the package, below the prefix."""

    result: Activation
    script: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)
    """Variables the scripts unset: those are known to be empty."""

    unknown: set[str] = field(default_factory=set)
    """Variables that something unread may have set."""

    def run(self, script: str, text: str) -> None:
        """Read a script."""
        self.script = script
        blocks: list[_Block] = []
        skipping = 0
        opens_next = False
        for number, statement in statements(text):
            if skipping:
                self._forget(statement)
                if opens_next and statement.startswith("{"):
                    # the body of a function whose name stood on a line of its own: counted with that
                    skipping -= 1
                opens_next = False
                skipping += _depth(statement)
                continue
            word = statement.split(maxsplit=1)[0]
            if word in {"if", "elif", "else", "fi"}:
                self._branch(word, statement, number, blocks)
            elif word == "then" or not all(block.runs for block in blocks):
                if any(block.is_unknown for block in blocks):
                    self._forget(statement)
            elif _OPENING.match(statement):
                self._unread(number)
                self._forget(statement)
                opens_next = bool(_FUNCTION.fullmatch(statement))
                skipping = 1 if opens_next else max(_depth(statement), 0)
            else:
                try:
                    self._list(statement)
                except UnknownError:
                    self._unread(number)
                    self._forget(statement)
        if skipping or blocks:
            # where its end was missed, what comes last was passed over with it
            self._unread(len(text.splitlines()))

    def _branch(self, word: str, statement: str, number: int, blocks: list[_Block]) -> None:
        if word == "if":
            block = _Block(runs=False, done=True)
            if all(around.runs for around in blocks):
                block = self._judged(statement[2:], number)
            elif any(around.is_unknown for around in blocks):
                block.is_unknown = True
            blocks.append(block)
        elif not blocks:
            self._unread(number)
        elif word == "fi":
            blocks.pop()
        elif blocks[-1].done:
            blocks[-1].runs = False
        else:
            blocks[-1] = (
                self._judged(statement[4:], number) if word == "elif" else _Block(runs=True, done=True)
            )

    def _judged(self, condition: str, number: int) -> _Block:
        try:
            runs = self._condition(condition.strip())
        except UnknownError:
            self._unread(number)
            return _Block(runs=False, done=True, is_unknown=True)
        return _Block(runs=runs, done=runs)

    def _forget(self, statement: str) -> None:
        """Count what a statement that is not run may set, or unset, as unknown."""
        names = set(_SET_SOMEWHERE.findall(statement))
        if statement.startswith("unset "):
            names |= set(_NAME.findall(statement[len("unset ") :]))
        for name in names:
            self.unknown.add(name)
            self.variables.pop(name, None)
            self.result.env.pop(name, None)

    def _unread(self, number: int) -> None:
        self.result.unread.append(f"{self.script}:{number}")

    def _list(self, statement: str) -> None:
        """Run commands joined by ``&&`` and ``||``."""
        parts = split(statement, ("&&", "||"))
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
        parts = words_of(command)
        match parts:
            case ["unset", *names]:
                for name in names:
                    self.variables.pop(name, None)
                    self.exported.discard(name)
                    self.result.env.pop(name, None)
                    self.unknown.discard(name)
                    self.cleared.add(name)
            case ["export", *assignments] | ["declare" | "typeset", "-x", *assignments]:
                self._assign(assignments, exporting=True)
            case _:
                self._assign(parts, exporting=False)
        return True

    def _assign(self, words: list[str], *, exporting: bool) -> None:
        for word in words:
            match = _ASSIGNMENT.fullmatch(word)
            if match:
                self.variables[match[1]] = self._expand(match[2])
                self.unknown.discard(match[1])
                self.cleared.discard(match[1])
            elif not (exporting and _NAME.fullmatch(word)):
                raise UnknownError
            name = match[1] if match else word
            if name in self.unknown:
                raise UnknownError
            if exporting:
                self.exported.add(name)
            if name in self.exported and name in self.variables:
                self.result.env[name] = self.variables[name]

    def _condition(self, text: str) -> bool:
        for operator in ("||", "&&"):
            parts = split(text, (operator,))
            if len(parts) > 1:
                answers = [self._condition(part.strip()) for _, part in parts]
                return any(answers) if operator == "||" else all(answers)
        if text.startswith("! "):
            return not self._condition(text[2:].strip())
        inner = text
        for opening, closing in (("[[", "]]"), ("[", "]"), ("test ", "")):
            if text.startswith(opening) and text.endswith(closing):
                inner = text[len(opening) : len(text) - len(closing)]
                return self._test(words_of(inner))
        raise UnknownError

    def _test(self, words: list[str]) -> bool:
        if words[:1] == ["!"]:
            return not self._test(words[1:])
        match words:
            case ["-n" | "-z" as operator, word]:
                return bool(self._seen(word)) == (operator == "-n")
            case ["-d" | "-e" | "-f" | "-x" | "-r" | "-s" | "-L" as operator, word]:
                return self._is_there(self._seen(word), is_folder=operator == "-d")
            case [left, "=" | "==" | "!=" as operator, right]:
                return (self._seen(left) == self._seen(right)) == (operator != "!=")
            case [word]:
                return bool(self._seen(word))
        raise UnknownError

    def _seen(self, word: str) -> str:
        """Return a word of a test, for which a variable nobody set is empty."""
        value = self._expand(word, testing=True)
        if _DEFAULTED.search(value):
            raise UnknownError
        return value

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

    def _expand(self, word: str, *, testing: bool = False) -> str:
        if "`" in word or "$(" in word:
            raise UnknownError
        return "".join(self._parts(word, testing=testing))

    def _parts(self, word: str, *, testing: bool) -> Iterator[str]:
        for quote, text in quoted(word):
            if quote == "'":
                if _KEPT.search(text):
                    raise UnknownError  # it would be taken for a reference
                yield text
                continue
            yield self._substitute(text, testing=testing)

    def _substitute(self, text: str, *, testing: bool) -> str:
        if "\\" in text:
            raise UnknownError

        def value(match: re.Match[str]) -> str:
            name = match["plain"] or match["name"]
            operator, alternative = match["op"] or "", match["word"] or ""
            return self._value(name, operator, alternative, testing=testing)

        replaced = _PARAMETER.sub(value, text)
        if "$" in _KEPT.sub("", replaced):
            raise UnknownError
        return replaced

    def _value(self, name: str, operator: str, alternative: str, *, testing: bool) -> str:
        if name in self.unknown:
            raise UnknownError
        known = self.variables.get(name)
        if known is None and name not in self.cleared and not testing:
            return self._reference(name, operator, alternative)
        if known is not None and operator and _DEFAULTED.search(known):
            raise UnknownError
        is_set = known is not None and (known != "" or not operator.startswith(":"))
        if operator.endswith("+"):
            return self._expand(alternative, testing=testing) if is_set else ""
        if operator and not is_set:
            return self._expand(alternative, testing=testing)
        return known or ""

    def _reference(self, name: str, operator: str, alternative: str) -> str:
        """Return the reference that stays for a variable which may be set elsewhere."""
        if not operator.endswith("-"):
            raise UnknownError
        word = self._expand(alternative)
        if re.search(r"[{}$]", word):
            raise UnknownError
        return f"${{{name}{operator}{word}}}"


def _depth(statement: str) -> int:
    """Return by how many a statement opens more loops, functions and the like than it closes."""
    plain = _QUOTED.sub("", statement)
    return len(_OPENS.findall(plain)) - len(_CLOSES.findall(plain))


def read_activation(
    scripts: Mapping[str, str], *, prefix: str, files: Collection[str], preset: Mapping[str, str]
) -> Activation:
    """Return what ``scripts`` (name → text) of one package set, read in the order of their names.

    ``preset`` is what the package's ``env_vars.d`` sets first.
    """
    # conda sets these as they stand: what looks like a reference is none
    result = Activation(
        unread=[f"env_vars.d:{name}" for name in sorted(preset) if _KEPT.search(preset[name])]
    )
    preset = {name: value for name, value in preset.items() if not _KEPT.search(value)}
    result.env |= preset
    shell = _Shell(
        prefix=prefix,
        files=files,
        result=result,
        variables={"CONDA_PREFIX": prefix, KEPT_OPEN: f"${{{KEPT_OPEN}}}", **preset},
        exported=set(preset),
    )
    for name in sorted(scripts):
        shell.run(name, scripts[name])
    result.env = dict(sorted(result.env.items()))
    return result


def expand_value(value: str, env: Mapping[str, str]) -> str:
    """Return a variable's value with the references that scripts left in it, where ``env`` is set already."""

    def expanded(match: re.Match[str]) -> str:
        if match["name"] is None:
            return env[KEPT_OPEN]
        present = env.get(match["name"])
        if present is None or (present == "" and match["op"] == ":-"):
            return match["word"]
        return present

    return _KEPT.sub(expanded, value)
