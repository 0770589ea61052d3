"""Requirements and constraints files as pip reads them, as far as they say *what* is wanted.

Where packages come from is the spec's and the client's business, so options that say so are refused, unless
the spec says the same; addresses of single requirements are part of what is wanted.
Format: pip documentation, "Requirements File Format".
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envbuild.errors import Problem
from envbuild.spec.direct_references import is_direct, parse_direct, with_hashes
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirements import normalized_constraint, normalized_requirement, refuse_editable
from envbuild.spec.source_options import (
    BUILD_OPTIONS,
    INDEX_OPTIONS,
    PAGE_OPTIONS,
    SourceOptionReader,
    SpecSources,
)

_COMMENT = re.compile(r"(^|\s+)#.*$")
_OPTION = re.compile(r"(?P<name>--[a-z-]+|-[a-zA-Z])(?:\s*=\s*|\s*)(?P<value>.*)", re.DOTALL)
_OPTION_AFTER = re.compile(r"\s+(?P<name>--[a-z-]+)(?:=|\s+)(?P<value>\S+)")
_INCLUDES = {"-r": False, "--requirement": False, "-c": True, "--constraint": True}
_EDITABLE = frozenset({"-e", "--editable"})
_IGNORED = frozenset({"--only-binary", "--prefer-binary", "--require-hashes"})
"""What envbuild always does."""

_SOURCES = INDEX_OPTIONS | PAGE_OPTIONS | BUILD_OPTIONS
_WHEELS_HINT = "envbuild installs wheels only; leave the option out"
_REFUSED = {
    "--no-index": "indexes come from [pip] indexes and the client's configuration",
    "--trusted-host": "name your CA bundle in SSL_CERT_FILE or REQUESTS_CA_BUNDLE on each machine",
    "--pre": "ask for the pre-release where it is wanted: `name>=2.0rc1`",
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
    sources: SpecSources = field(default_factory=SpecSources)
    """What the spec says of where packages come from."""

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
        lines = tuple(logical_lines(text))
        for number, line in lines:
            here = f"{file}:{number}"
            try:
                include = self._line(line, constrains, [text for _, text in lines])
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

    def _line(self, line: str, constrains: bool, lines: Sequence[str]) -> tuple[str, bool] | None:  # noqa: FBT001
        """Take in one line; return file and kind when it includes another one."""
        if line.startswith("-"):
            name, value = _split_option(line)
            if name in _INCLUDES:
                return _included(name, value)
            if name not in _EDITABLE:
                self._option(name, value, lines)
                return None
            line = _editable(name, value)
        requirement, hashes = _without_options(line)
        if constrains:
            self.collected.constraints.add(normalized_constraint(requirement))
            return None
        spelled = normalized_requirement(requirement)
        if is_direct(spelled):
            spelled = str(with_hashes(parse_direct(spelled), hashes))
        self.collected.requirements.add(spelled)
        return None

    def _option(self, name: str, value: str, lines: Sequence[str]) -> None:
        """Refuse an option, unless it says what envbuild does anyway or what the spec says."""
        if name in _IGNORED:
            return
        if name not in _SOURCES:
            raise _refused_option(name)
        if refusal := SourceOptionReader(self.sources).refusal(name, value, lines):
            raise refusal


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """A line that says something, continuations joined, comments taken off."""

    first: int
    """Number of its first line, from 1."""

    last: int
    """Number of its last one."""

    text: str


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that says something, continuations joined, with the number of its first line."""
    for line in placed_lines(text):
        yield line.first, line.text


def placed_lines(text: str) -> Iterator[LogicalLine]:
    """Yield each line that says something, continuations joined, and where it stands.

    As in pip, a comment line ends a continuation, and ``#`` starts a comment at a line's start or after a
    space.
    """
    parts: list[str] = []
    first = number = 0
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        first = first if parts else number
        is_comment = _COMMENT.match(line) is not None
        if line.endswith("\\") and not is_comment:
            parts.append(line.strip("\\"))
            continue
        # the space keeps a comment one when it is joined to the end of a word
        yield from _said(first, number, [*parts, f" {line}" if is_comment else line])
        parts = []
    yield from _said(first, number, parts)


def _said(first: int, last: int, parts: list[str]) -> Iterator[LogicalLine]:
    if line := _COMMENT.sub("", "".join(parts)).strip():
        yield LogicalLine(first, last, line)


@dataclass(frozen=True, slots=True)
class RequirementLine:
    """A line of a requirements file that asks for a package."""

    place: LogicalLine
    requirement: str
    """As written, without its own options."""

    normalized: str
    has_hashes: bool


def requirement_lines(text: str) -> Iterator[RequirementLine]:
    """Yield the lines that ask for packages; those that are not right are passed over."""
    for place in placed_lines(text):
        line = place.text
        try:
            if line.startswith("-"):
                name, value = _split_option(line)
                if name not in _EDITABLE:
                    continue
                line = _editable(name, value)
            requirement, hashes = _without_options(line)
            yield RequirementLine(place, requirement, normalized_requirement(requirement), bool(hashes))
        except RefusedError:
            continue


def included_files(text: str, file: str) -> Iterator[str]:
    """Yield the requirements files that ``file`` with this ``text`` includes; constraints are none."""
    for place in placed_lines(text):
        if place.text.startswith("-"):
            name, value = _split_option(place.text)
            if name in _INCLUDES and not _INCLUDES[name] and value and "://" not in value:
                yield _plain(posixpath.join(posixpath.dirname(file), value))


def _split_option(line: str) -> tuple[str, str]:
    """Return name and value of an option that has its own line."""
    if match := _OPTION.fullmatch(line):
        return match["name"], match["value"].strip().strip("'\"")
    return line.split(maxsplit=1)[0], ""


def _included(name: str, value: str) -> tuple[str, bool]:
    if not value:
        raise RefusedError(f"`{name}` names no file")
    if "://" in value:
        raise RefusedError(
            f"`{name}` includes a file by address", hint="keep a copy beside the spec and include that"
        )
    return value, _INCLUDES[name]


def _editable(name: str, value: str) -> str:
    """Return the requirement that an editable one stands for: a repository's, as it is not edited here."""
    if not value:
        raise RefusedError(f"`{name}` names no file")
    if not value.lower().startswith("git+"):
        raise refuse_editable(value)
    return value


def _without_options(line: str) -> tuple[str, tuple[str, ...]]:
    """Return a requirement without its own options, and its hashes.

    Those of what an index has are of no use: the lock takes the index's.
    """
    requirement, rest = line, ""
    if options := _OPTION_AFTER.search(line):
        requirement, rest = line[: options.start()], line[options.start() :]
    hashes = []
    for option in _OPTION_AFTER.finditer(rest):
        if option["name"] != "--hash":
            raise _refused_option(option["name"])
        hashes.append(option["value"])
    return requirement, tuple(hashes)


def _refused_option(name: str) -> RefusedError:
    """Refuse an option without its value: an index's address may hold a password."""
    if name in _REFUSED:
        return RefusedError(f"`{name}` is not taken from requirements files", hint=_REFUSED[name])
    return RefusedError(f"unknown option `{name}`")


def _plain(file: str) -> str:
    return posixpath.normpath(file)
