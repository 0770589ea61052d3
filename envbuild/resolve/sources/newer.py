"""Versions that only a source gives: where wheels alone would be older without a word."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envbuild.errors import NotFoundError, Problem, SourcesNeededError
from envbuild.remote.index.client import PythonIndex
from envbuild.resolve.python.backend import Pin, Question
from envbuild.resolve.python.files import choose_file
from envbuild.resolve.sources.index import choose_source


def may_be_older(
    seen: Iterable[NormalizedName], pins: Iterable[Pin], question: Question, index: PythonIndex
) -> bool:
    """Return whether a source could give a newer version of anything the resolver looked at.

    True where it is only likely: a resolution with sources then tells.
    """
    chosen = {pin.name: Version(pin.version) for pin in pins}
    kept = {pin.name: Version(pin.version) for pin in question.preferred}
    asked = _specifiers(question)
    return any(
        _has_newer_source(name, chosen.get(name), asked.get(name, SpecifierSet()), question, index)
        for name in sorted({*seen, *chosen} - question.there)
        # what was locked stays as it is
        if not (name in chosen and chosen[name] == kept.get(name))
    )


def _has_newer_source(
    name: NormalizedName,
    chosen: Version | None,
    asked: SpecifierSet,
    question: Question,
    index: PythonIndex,
) -> bool:
    try:
        page = index.page(name, question.index_of(name))
    except NotFoundError:
        return False
    # a pre-release is what is left where no release has a wheel: any release would be better
    older = chosen if chosen is not None and not chosen.is_prerelease else None
    known: dict[Version | None, bool] = {None: False}

    def is_newer(filename: str) -> bool:
        version = page.version_of(filename)
        if version is not None and version not in known:
            later = older is None or version > older
            known[version] = later and version != chosen and asked.contains(version)
        return known[version]

    # a page has thousands of files: it is read once, and only what is newer becomes values
    by_version = page.by_version(is_newer)
    for version in sorted(by_version, reverse=True):
        files = by_version[version]
        if (
            choose_file(files, question.target, snapshot=question.snapshot) is None
            and (source := choose_source(files, question)) is not None
            and source.yanked is None
        ):
            return True
    return False


def _specifiers(question: Question) -> Mapping[NormalizedName, SpecifierSet]:
    found: dict[NormalizedName, SpecifierSet] = {}
    for text in (*question.requirements, *question.constraints):
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if requirement.marker is None or requirement.marker.evaluate(question.target.marker_environment):
            found[name] = found.get(name, SpecifierSet()) & requirement.specifier
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChoice:
    """What two resolutions say of one package."""

    name: str
    wheels: str | None
    """The version that wheels alone give; None: none."""

    sources: str
    """The version with sources."""

    is_source: bool

    def problem(self) -> Problem:
        """Return it in words."""
        older = f"wheels give {self.wheels}" if self.wheels else "no wheel will do"
        if self.is_source:
            return Problem("", f"`{self.name}`: {older}, a source gives {self.sources}")
        return Problem("", f"`{self.name}`: {older}, with sources it is {self.sources}")


def sources_needed(
    wheels: Iterable[Pin],
    with_sources: Iterable[Pin],
    from_source: Iterable[NormalizedName],
    allowed: Iterable[str],
) -> SourcesNeededError:
    """Return the error of a lock that would be older than its spec allows.

    ``from_source`` are those of ``with_sources`` that have no wheel, ``allowed`` what the spec lets be built.
    """
    older = {pin.name: pin.version for pin in wheels}
    source, listed = set(from_source), set(allowed)
    choices = [
        VersionChoice(
            name=pin.name,
            wheels=older.get(pin.name),
            sources=pin.version,
            is_source=pin.name in source,
        )
        for pin in sorted(with_sources, key=lambda pin: (pin.name not in source, pin.name))
        if pin.name in source - listed or (pin.name in older and older[pin.name] != pin.version)
    ]
    packages = tuple(sorted(listed | source))
    line = ", ".join(f'"{name}"' for name in packages)
    alternative = "; or wheels-only = true takes what wheels give" if older else ""
    return SourcesNeededError(
        "some versions have no wheel, and only a source gives them",
        packages=packages,
        problems=[choice.problem() for choice in choices],
        hint=f"build = [{line}] in [pip], which `envbuild lock --add-builds` writes{alternative}",
    )
