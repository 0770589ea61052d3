"""Requirements and constraints files as pip reads them, as far as they say *what* is wanted.

Where packages come from is the spec's and the client's business, so options that say so are refused.
Format: pip documentation, "Requirements File Format".
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from envbuild.errors import Problem
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirements import (
    INDEX_HINT,
    normalized_constraint,
    normalized_requirement,
    refuse_editable,
)

_COMMENT = re.compile(r"(^|\s+)#.*$")
_OPTION = re.compile(r"(?P<name>--[a-z-]+|-[a-zA-Z])(?:\s*=\s*|\s*)(?P<value>.*)", re.DOTALL)
_OPTION_AFTER = re.compile(r"\s+(?P<name>--[a-z-]+)(?:=|\s+)(?P<value>\S+)")
_INCLUDES = {"-r": False, "--requirement": False, "-c": True, "--constraint": True}
_EDITABLE = frozenset({"-e", "--editable"})
_IGNORED = frozenset({"--only-binary", "--prefer-binary", "--require-hashes"})
"""What envbuild always does."""

_WHEELS_HINT = "envbuild installs wheels only; leave the option out"
_REFUSED = {
    "-i": "name the index in [pip] indexes and bind packages to it in [pip] sources",
    "--index-url": "name the index in [pip] indexes and bind packages to it in [pip] sources",
    "--extra-index-url": "name the index in [pip] indexes and bind packages to it in [pip] sources",
    "-f": INDEX_HINT,
    "--find-links": INDEX_HINT,
    "--no-index": "indexes come from [pip] indexes and the client's configuration",
    "--trusted-host": "name your CA bundle in SSL_CERT_FILE or REQUESTS_CA_BUNDLE on each machine",
    "--pre": "ask for the pre-release where it is wanted: `name>=2.0rc1`",
    "--no-binary": _WHEELS_HINT,
    "--config-settings": _WHEELS_HINT,
    "--config-setting": _WHEELS_HINT,
    "--global-option": _WHEELS_HINT,
}


@dataclass(slots=True)
class Collected:
    """What a set of files asks for."""

    requirements: set[str] = field(default_factory=set)
    constraints: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RequirementFiles:
    """Reads files of one folder, includes followed, into ``collected``."""

    folder: Path
    read: Callable[[Path, str], str]
    """Text of a file, given its path and what messages call it; raises :class:`RefusedError`."""

    collected: Collected

    def add(self, file: str, *, constrains: bool, where: str) -> None:
        """Take in ``file``, named at ``where``; problems are collected, not raised."""
        self._add(_plain(file), constrains, where, ())

    def _add(self, file: str, constrains: bool, where: str, including: tuple[str, ...]) -> None:  # noqa: FBT001
        if file in including:
            chain = " → ".join([*including[including.index(file) :], file])
            self.collected.problems.append(Problem(where, f"includes itself: {chain}"))
            return
        try:
            text = self.read(self.folder / file, file)
        except RefusedError as error:
            self.collected.problems.append(error.at(where))
            return
        for number, line in logical_lines(text):
            here = f"{file}:{number}"
            try:
                include = self._line(line, constrains)
            except RefusedError as error:
                self.collected.problems.append(error.at(here))
                continue
            if include:
                target, is_constraints = include
                self._add(
                    _plain(posixpath.join(posixpath.dirname(file), target)),
                    is_constraints,
                    here,
                    (*including, file),
                )

    def _line(self, line: str, constrains: bool) -> tuple[str, bool] | None:  # noqa: FBT001
        """Take in one line; return file and kind when it includes another one."""
        if line.startswith("-"):
            return _option(line)
        requirement = _without_options(line)
        if constrains:
            self.collected.constraints.add(normalized_constraint(requirement))
        else:
            self.collected.requirements.add(normalized_requirement(requirement))
        return None


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that says something, continuations joined, with the number of its first line.

    As in pip, a comment line ends a continuation, and ``#`` starts a comment at a line's start or after a
    space.
    """
    parts: list[str] = []
    first = 0
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        first = first if parts else number
        is_comment = _COMMENT.match(line) is not None
        if line.endswith("\\") and not is_comment:
            parts.append(line.strip("\\"))
            continue
        # the space keeps a comment one when it is joined to the end of a word
        yield from _said(first, [*parts, f" {line}" if is_comment else line])
        parts = []
    yield from _said(first, parts)


def _said(number: int, parts: list[str]) -> Iterator[tuple[int, str]]:
    if line := _COMMENT.sub("", "".join(parts)).strip():
        yield number, line


def _option(line: str) -> tuple[str, bool] | None:
    match = _OPTION.fullmatch(line)
    name, value = (
        (match["name"], match["value"].strip().strip("'\"")) if match else (line.split(maxsplit=1)[0], "")
    )
    if not value and name in {*_INCLUDES, *_EDITABLE}:
        raise RefusedError(f"`{name}` names no file")
    if name in _INCLUDES:
        if "://" in value:
            raise RefusedError(
                f"`{name}` includes a file by address", hint="keep a copy beside the spec and include that"
            )
        return value, _INCLUDES[name]
    if name in _EDITABLE:
        raise refuse_editable(value)
    if name not in _IGNORED:
        raise _refused_option(name)
    return None


def _without_options(line: str) -> str:
    """Return a requirement without its own options; hashes are dropped: the lock takes the index's."""
    requirement, rest = line, ""
    if options := _OPTION_AFTER.search(line):
        requirement, rest = line[: options.start()], line[options.start() :]
    for option in _OPTION_AFTER.finditer(rest):
        if option["name"] != "--hash":
            raise _refused_option(option["name"])
    return requirement


def _refused_option(name: str) -> RefusedError:
    """Refuse an option without its value: an index's address may hold a password."""
    if name in _REFUSED:
        return RefusedError(f"`{name}` is not taken from requirements files", hint=_REFUSED[name])
    return RefusedError(f"unknown option `{name}`")


def _plain(file: str) -> str:
    return posixpath.normpath(file)
