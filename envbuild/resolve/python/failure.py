"""A resolver's failure, told in its own words without the noise, and with what the index itself says."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from envbuild.errors import EnvbuildError, NetworkError, NoSolutionError, NotFoundError, Problem
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.page import ProjectPage
from envbuild.resolve.python.backend import Question
from envbuild.resolve.python.files import fits
from envbuild.resolve.python.shortage import WHEEL_HINT, what_there_is

MOST_LINES = 16
LONGEST_LINE = 400
"""Characters; explanations of packages with hundreds of versions list them all."""

MOST_PROJECTS = 12
"""Projects nobody asked for that are looked up at most to explain one failure."""

UNKNOWN_HINT = "check the spelling; a package of another index must be bound to it in [pip] sources"
CONFLICT_HINT = "change one of the requirements named above"

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_USERINFO = re.compile(r"://[^/@\s]+@")
_FRAME = re.compile(r"^[\s×╰─▶│├╭]+")
_HEADLINE = re.compile(r"^(error: )?No solution found.*$", re.IGNORECASE)
_ERROR = re.compile(r"\s*ERROR: ")
_LIST_ITEM = re.compile(r"[A-Za-z0-9][\w.-]*(\[[^\]]*\])?[<>=!~][^ ]*")
_LABEL = re.compile(r"^(cause|error|ERROR): ")
_VERSIONS = re.compile(r"\(from versions: (?:[^)]*, )?((?:[^),]+, ){3}[^),]+)\)")
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?(?:(==|[<>~!]=?)\s*([0-9][\w.!+]*))?")
_QUOTED = re.compile(r"`([A-Za-z0-9][A-Za-z0-9._-]*)` \(v([^)]+)\)")
_MISSING = re.compile(r"(\S+) was not found in|satisfies the requirement ([A-Za-z0-9][\w.-]*)")
_BY_ADDRESS = re.compile(
    r"Package `([^`]+)` was included as a URL dependency.*Consider adding `([^`]+)`", re.DOTALL
)
_UNREADABLE = re.compile(
    r"Failed to fetch|error sending request|connection broken|Could not connect", re.IGNORECASE
)


def without_secrets(text: str, question: Question) -> str:
    """Return ``text`` without colours, the user part of any address, or a password of the indexes asked."""
    text = _USERINFO.sub("://", _ANSI.sub("", text))
    for address in (question.default, *question.indexes, *question.pages):
        if address and address.credentials and address.credentials.password:
            text = text.replace(address.credentials.password, "****")
    return text


def shortened(text: str) -> str:
    """Return what matters of a resolver's words, without frames, labels and advice on flags nobody typed."""
    lines = [_LABEL.sub("", _FRAME.sub("", line)).rstrip() for line in text.splitlines()]
    # pip tells its whole way there; what went wrong begins at the first error
    first = next((place for place, line in enumerate(text.splitlines()) if _ERROR.match(line)), 0)
    told = _sentences(lines) if any(map(_HEADLINE.match, lines)) else lines[first:]
    kept = [_clipped(_VERSIONS.sub(r"(newest: \1)", line)) for line in told if line]
    if len(kept) > MOST_LINES:
        half = MOST_LINES // 2
        kept = [*kept[:half], "…", *kept[-half:]]
    return "\n".join(kept)


def _sentences(lines: Sequence[str]) -> Iterator[str]:
    """Yield uv's sentences and hints: it breaks lines at will, and gives each item of a list its own."""
    sentence = ""
    for line in lines:
        if not line or _HEADLINE.match(line):
            continue
        if line.startswith("hint:"):
            yield from _unless_about_flags(sentence)
            sentence = ""
        in_list = bool(sentence) and _LIST_ITEM.fullmatch(sentence.split()[-1]) and _LIST_ITEM.fullmatch(line)
        sentence = f"{sentence}{', ' if in_list else ' '}{line}".lstrip()
        if sentence.endswith("."):
            yield sentence
            sentence = ""
    yield from _unless_about_flags(sentence)


def _unless_about_flags(sentence: str) -> Iterator[str]:
    # a hint about a flag is of no use to someone who typed none
    if not (sentence.startswith("hint:") and "--" in sentence):
        yield sentence


def _clipped(line: str) -> str:
    return (
        line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
    )


def explained(error: EnvbuildError, question: Question, index: PythonIndex) -> EnvbuildError:
    """Return the error to raise in place of a resolver's own.

    What an index says by itself comes first: that it cannot be reached, does not know a project, or has no
    wheel of it for the target.
    """
    said = error.detail or ""
    try:
        _require_reachable(question, index)
        problems = () if not isinstance(error, NoSolutionError) else tuple(_problems(said, question, index))
    except NetworkError as unreachable:
        return unreachable
    detail = shortened(said)
    if not isinstance(error, NoSolutionError):
        if placed := _BY_ADDRESS.search(said):
            return NoSolutionError(
                f"`{placed[1]}` is required from an address, and only the spec says where packages are",
                hint=f'add it to [pip] packages: "{placed[2]}"',
                detail=detail,
            )
        if _UNREADABLE.search(said):
            return NetworkError("the resolver could not read an index", hint="try again later", detail=detail)
        return EnvbuildError(error.message, hint=error.hint, detail=detail)
    if len(problems) == 1:
        return NoSolutionError(problems[0].message, hint=problems[0].hint, detail=detail)
    return NoSolutionError(
        f"the Python requirements cannot be met for {question.target}",
        hint=None if problems else CONFLICT_HINT,
        problems=problems,
        detail=detail,
    )


def _require_reachable(question: Question, index: PythonIndex) -> None:
    for text in question.requirements:
        name = canonicalize_name(Requirement(text).name)
        if name in question.there:
            continue
        try:
            index.page(name, question.index_of(name))
        except NotFoundError:
            continue


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A project a resolver's words name, and which of its versions are meant."""

    name: NormalizedName
    specifiers: SpecifierSet
    asked: bool
    """Whether the specifiers are the request's own, rather than a version in passing."""


def _problems(said: str, question: Question, index: PythonIndex) -> Iterator[Problem]:
    for suspect in _suspects(said, question):
        if suspect.name in question.there:
            continue
        try:
            page = index.page(suspect.name, question.index_of(suspect.name))
        except NotFoundError as error:
            yield Problem("", error.message, UNKNOWN_HINT)
            continue
        problem = _shortage(page, suspect, question)
        if problem:
            yield problem


def _suspects(said: str, question: Question) -> list[_Suspect]:
    """Return what was asked for, whatever the resolver stumbled over first, and some others it names."""
    environment = question.target.marker_environment
    asked: dict[NormalizedName, SpecifierSet] = {}
    for text in question.requirements:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            asked[name] = asked.get(name, SpecifierSet()) & requirement.specifier
    for text in question.constraints:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name in asked and (requirement.marker is None or requirement.marker.evaluate(environment)):
            asked[name] &= requirement.specifier
    mentioned = [match.groups() for match in _QUOTED.finditer(said)]
    exact = {canonicalize_name(name): SpecifierSet(f"=={version}") for name, version in mentioned}
    for word, operator, version in _NAMED.findall(said):
        name = canonicalize_name(word.rstrip("."))
        if operator == "==" and name not in exact:
            exact[name] = SpecifierSet(f"=={version.rstrip('.')}")
        elif operator:
            exact.setdefault(name, SpecifierSet())
    unknown = {canonicalize_name(name) for names in _MISSING.findall(said) for name in names if name}
    others = sorted((unknown | set(exact)) - set(asked))[:MOST_PROJECTS]
    return [
        *(_Suspect(name, asked[name], asked=True) for name in sorted(asked)),
        *(_Suspect(name, exact.get(name, SpecifierSet()), asked=False) for name in others),
    ]


def _shortage(page: ProjectPage, suspect: _Suspect, question: Question) -> Problem | None:
    """Return what is wrong when not one file of the versions meant can be used."""
    by_version = page.by_version()
    meant = [version for version in by_version if suspect.specifiers.contains(version, prereleases=True)]
    if not meant:
        if not suspect.asked or not by_version:
            return None
        newest = max(by_version, key=lambda version: (not version.is_prerelease, version))
        return Problem(
            "",
            f"no version of `{suspect.name}` is {suspect.specifiers}; the newest on the index is {newest}",
            "allow a version that exists",
        )
    for version in sorted(meant, reverse=True):
        if any(fits(file, question.target, snapshot=question.snapshot) for file in by_version[version]):
            return None
    newest = max(meant, key=lambda version: (not version.is_prerelease, version))
    has = what_there_is(by_version[newest], question.target, snapshot=question.snapshot)
    return Problem("", f"`{suspect.name}` {newest} cannot be installed: the index has {has}", WHEEL_HINT)
