"""Which version of each distribution, and whether a wheel or a source gives it.

With wheels alone a resolver walks back, without a word, to versions of years ago.  So where a source could
give something newer, the question is asked again with sources (:mod:`envbuild.resolve.sources.index`), and
what differs is either allowed by the request or an error that says what to write.
"""

import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from envbuild.errors import EnvbuildError, NoSolutionError, SpecError
from envbuild.progress import Progress
from envbuild.remote.index.client import PythonIndex
from envbuild.resolve.python.backend import Pin, PythonResolver, Question
from envbuild.resolve.python.failure import explained
from envbuild.resolve.python.releases import ReleaseFinder
from envbuild.resolve.sources.build import SourceBuilder
from envbuild.resolve.sources.index import SourceIndex
from envbuild.resolve.sources.newer import may_be_older, sources_needed
from envbuild.resolve.sources.release import SourceRelease
from envbuild.spec.request import PipRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenVersions:
    """What satisfies a question: versions that have a wheel, and sources of the others."""

    wheels: tuple[Pin, ...]
    sources: tuple[SourceRelease, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choosing:
    """One question, and all that has a say in its answer."""

    question: Question
    pip: PipRequest
    resolver: PythonResolver
    finder: ReleaseFinder
    index: PythonIndex
    progress: Progress

    def pins(self, question: Question, seen: set[NormalizedName]) -> tuple[Pin, ...]:
        """Return what the resolver answers; ``seen`` gets the name of everything it looked at."""
        there = question.there

        def on_candidate(name: NormalizedName, version: str | None) -> None:
            self.progress.on_item(f"{self.resolver.name} is looking at {name} {version or ''}".rstrip())
            seen.add(name)
            if name not in there:
                self.finder.expect(name, version)

        return self.resolver.resolve(question, on_candidate=on_candidate)

    def with_wheels(self, seen: set[NormalizedName]) -> tuple[Pin, ...]:
        """Return what wheels alone give.  :raises EnvbuildError: nothing, explained."""
        try:
            return self.pins(self.question, seen)
        except SpecError:
            raise
        except EnvbuildError as error:
            raise _naming_what_is_there(explained(error, self.question, self.index), self.question) from error

    def with_sources(self, sources: SourceBuilder, served: SourceIndex) -> tuple[Pin, ...]:
        """Return the answer when sources count as well.  :raises EnvbuildError: none, explained."""
        try:
            return served.turns.during(
                lambda: sources.uv.resolve(
                    served.asked_here(),
                    on_candidate=lambda name, _: self.progress.on_item(f"looking at {name}"),
                )
            )
        except EnvbuildError as error:
            if served.failures:
                raise served.failures[0] from error
            raise _naming_what_is_there(explained(error, self.question, self.index), self.question) from error


def choose_versions(
    question: Question,
    pip: PipRequest,
    *,
    resolver: PythonResolver,
    finder: ReleaseFinder,
    index: PythonIndex,
    progress: Progress,
    sources: SourceBuilder | None,
) -> ChosenVersions:
    """Return the versions that satisfy ``question``, and which of them are to be built.

    :raises NoSolutionError: nothing does.
    :raises SourcesNeededError: wheels give older versions than sources, and ``pip`` allows neither.
    :raises SpecError: the resolver cannot answer such a question.
    :raises NetworkError: an index cannot be read.
    """
    choosing = _Choosing(
        question=question, pip=pip, resolver=resolver, finder=finder, index=index, progress=progress
    )
    progress.on_stage(f"resolving Python packages with {resolver.name}")
    _expect(question, finder)
    if sources is None or pip.wheels_only:
        return ChosenVersions(wheels=choosing.with_wheels(set()))
    seen: set[NormalizedName] = set()
    wheels, refused = None, None
    if not pip.build:
        try:
            wheels = choosing.with_wheels(seen)
        except NoSolutionError as error:
            refused = error
        if not may_be_older(seen, wheels or (), question, index):
            if refused is not None:
                raise refused
            return ChosenVersions(wheels=wheels or ())
    return _choose_with_sources(choosing, sources, wheels, refused)


def _choose_with_sources(
    choosing: _Choosing,
    sources: SourceBuilder,
    wheels: tuple[Pin, ...] | None,
    refused: NoSolutionError | None,
) -> ChosenVersions:
    """Return the answer when sources count; ``wheels`` is the one without them, as far as it is known."""
    choosing.progress.on_stage("resolving Python packages, sources included")
    with ExitStack() as stack:
        served = stack.enter_context(
            sources.serve(choosing.question, choosing.index, choosing.pip, keep=choosing.finder.keep)
        )
        try:
            pins = choosing.with_sources(sources, served)
        except NoSolutionError as error:
            raise refused or error from error
        built = {pin.name: release for pin in pins if (release := served.source_of(pin)) is not None}
        for pin in pins:
            if pin.name not in built and (wheel := served.wheel_of(pin)) is not None:
                choosing.finder.know(pin, *wheel)
    allowed = set(built) if choosing.pip.build == "all" else set(choosing.pip.build)
    if set(built) - allowed:
        raise sources_needed(_older(choosing, wheels, refused), pins, built, allowed)
    return ChosenVersions(
        wheels=tuple(pin for pin in pins if pin.name not in built),
        sources=tuple(built[name] for name in sorted(built)),
    )


def _older(
    choosing: _Choosing, wheels: tuple[Pin, ...] | None, refused: NoSolutionError | None
) -> tuple[Pin, ...]:
    """Return what wheels alone give, for a message; nothing where they give nothing."""
    if wheels is not None or refused is not None:
        return wheels or ()
    try:
        return choosing.pins(choosing.question, set())
    except EnvbuildError:
        return ()


def _expect(question: Question, finder: ReleaseFinder) -> None:
    """Look up what is asked and what was locked before while the resolver is at work."""
    there = question.there
    for text in question.requirements:
        if (name := canonicalize_name(Requirement(text).name)) not in there:
            finder.expect(name)
    for pin in question.preferred:
        finder.expect(pin.name, None if question.upgrade.everything else pin.version)


def _naming_what_is_there(error: EnvbuildError, question: Question) -> EnvbuildError:
    """Return ``error`` with a word about what it speaks of that conda provides, or that has an address."""
    told = f"{error.message} {error.detail or ''}"

    def named(pins: Iterable[Pin]) -> str:
        found = [pin for pin in pins if re.search(rf"\b{re.escape(pin.name)}\b", told)]
        return ", ".join(f"{pin.name} {pin.version}" for pin in found)

    if not isinstance(error, NoSolutionError):
        return error
    if there := named(question.placed):
        error.hint = (
            f"the addresses in the spec give {there}: ask for another file or commit, or change the rest"
        )
    if there := named(question.provided):
        error.hint = (
            f"conda provides {there}: ask for another version in [conda] packages, or leave it to pip"
        )
    return error
