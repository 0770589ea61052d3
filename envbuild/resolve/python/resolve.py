"""From a request for Python distributions to the exact wheels of one target."""

import importlib.metadata
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envbuild.errors import EnvbuildError, NoSolutionError, SpecError
from envbuild.lock.model import Wheel
from envbuild.progress import SILENT, Progress
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import DEFAULT_INDEX
from envbuild.resolve.python.backend import Pin, PythonResolver, Question
from envbuild.resolve.python.failure import explained
from envbuild.resolve.python.paths import path_of
from envbuild.resolve.python.provided import provided_pins, refuse_conflicts
from envbuild.resolve.python.releases import Release, ReleaseFinder
from envbuild.resolve.python.requirements import activate, left_out
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade
from envbuild.spec.request import VariantRequest

UV_CHOOSES_HINT = 'resolver = "uv" chooses versions that the base itself can load'

INSTALLER = canonicalize_name("installer")
"""The distribution that lays wheels out during a build."""

CONDA_INSTALLER = canonicalize_name("py-rattler")
"""The distribution that lays conda packages out during a build."""


def resolve_python(
    request: VariantRequest,
    target: TargetPython,
    *,
    resolver: PythonResolver,
    index: PythonIndex,
    cache: Path,
    progress: Progress,
    provided: Iterable[str] = (),
    previous: Sequence[Wheel] = (),
    upgrade: Upgrade = NO_UPGRADE,
) -> tuple[Wheel, ...]:
    """Return the wheels ``target`` installs for ``request``, sorted by name.

    ``requires`` of each holds the lines that count on this target.  ``previous`` is what was locked for it:
    unless ``upgrade`` gives it up, a distribution keeps its version and file where nothing that is asked
    speaks against them.  ``provided`` are distributions of conda packages,
    ``name==version``: they are taken as they are and not among the wheels.  ``cache`` is envbuild's cache
    folder.

    :raises SpecError: the resolver cannot answer such a request.
    :raises NoSolutionError: nothing satisfies the request on this target.
    :raises NetworkError: an index cannot be read.
    """
    if not request.pip.requirements:
        return ()
    index = index.bound_to(request.pip.indexes)
    pins_there = provided_pins(provided)
    if pins_there and resolver.name != "uv":
        raise SpecError.at(
            "pip.resolver",
            f"`{resolver.name}` cannot resolve against what conda provides",
            'write resolver = "uv"',
        )
    refuse_conflicts(request.pip.requirements, pins_there, target.marker_environment)
    there = {pin.name for pin in pins_there}
    previous = [wheel for wheel in previous if canonicalize_name(wheel.name) not in there]
    question = replace(_question(request, target, index, previous), provided=pins_there, upgrade=upgrade)
    for note in index.notes_once():
        progress.on_note(note)
    keep = {canonicalize_name(wheel.name): wheel.file for wheel in upgrade.kept(previous)}
    finder = ReleaseFinder(question, index=index, cache=cache, keep=keep)
    pins = _pins(question, resolver, finder, progress, index)
    try:
        releases = finder.find(pins, progress)
    except NoSolutionError as error:
        if resolver.name == "uv":
            raise
        # a resolver for this machine's own libc can pick what the base is too old for
        raise NoSolutionError(error.message, hint=UV_CHOOSES_HINT, problems=error.problems) from error
    return _wheels(releases, question, index)


def pin_tool(name: NormalizedName, target: TargetPython, *, index: PythonIndex, cache: Path) -> Wheel:
    """Return the wheel of a tool that builds of ``target`` use, from the main index.

    It has the version installed beside envbuild: the one this envbuild was tested with.

    :raises NoSolutionError: the index has no such wheel.
    :raises NetworkError: the index cannot be read.
    """
    pin = Pin(name=name, version=importlib.metadata.version(name))
    question = Question(requirements=(f"{pin.name}=={pin.version}",), target=target)
    releases = ReleaseFinder(question, index=index, cache=cache).find((pin,), SILENT)
    (wheel,) = _wheels(releases, question, index)
    return wheel


def _question(
    request: VariantRequest, target: TargetPython, index: PythonIndex, previous: Sequence[Wheel]
) -> Question:
    sources = {
        canonicalize_name(name): source
        for name, source in request.pip.sources.items()
        if source != DEFAULT_INDEX
    }
    preferred = {canonicalize_name(wheel.name): wheel.version for wheel in previous}
    return Question(
        requirements=request.pip.requirements,
        constraints=request.pip.constraints,
        target=target,
        default=index.address() if index.configuration.names_default else None,
        indexes=tuple(index.address(name) for name in sorted(set(sources.values()))),
        sources=sources,
        snapshot=request.snapshot,
        preferred=tuple(Pin(name=name, version=preferred[name]) for name in sorted(preferred)),
    )


def _pins(
    question: Question,
    resolver: PythonResolver,
    finder: ReleaseFinder,
    progress: Progress,
    index: PythonIndex,
) -> tuple[Pin, ...]:
    def on_candidate(name: NormalizedName, version: str | None) -> None:
        progress.on_item(f"{resolver.name} is looking at {name} {version or ''}".rstrip())
        if name not in there:
            finder.expect(name, version)

    progress.on_stage(f"resolving Python packages with {resolver.name}")
    # looked up while the resolver is at work: what is asked, and what was locked before
    there = {pin.name for pin in question.provided}
    for text in question.requirements:
        if (name := canonicalize_name(Requirement(text).name)) not in there:
            finder.expect(name)
    for pin in question.preferred:
        finder.expect(pin.name, None if question.upgrade.everything else pin.version)
    try:
        return resolver.resolve(question, on_candidate=on_candidate)
    except SpecError:
        raise
    except EnvbuildError as error:
        raise _naming_conda(explained(error, question, index), question) from error


def _naming_conda(error: EnvbuildError, question: Question) -> EnvbuildError:
    """Return ``error`` with a word about the packages of conda that it speaks of."""
    told = f"{error.message} {error.detail or ''}"
    named = [pin for pin in question.provided if re.search(rf"\b{re.escape(pin.name)}\b", told)]
    if named and isinstance(error, NoSolutionError):
        there = ", ".join(f"{pin.name} {pin.version}" for pin in named)
        error.hint = (
            f"conda provides {there}: ask for another version in [conda] packages, or leave it to pip"
        )
    return error


def _wheels(releases: Sequence[Release], question: Question, index: PythonIndex) -> tuple[Wheel, ...]:
    """Return the wheels that are really needed; a resolver may have been asked for more to bind it."""
    declared: dict[NormalizedName, tuple[str, ...]] = {pin.name: () for pin in question.provided}
    declared |= {release.pin.name: tuple(release.metadata.requires) for release in releases}
    activated = activate(question.requirements, declared, question.target.marker_environment)
    for missing, by in left_out(activated, declared):
        raise EnvbuildError(
            f"the resolver left out `{missing}`, which {f'`{by}`' if by else 'the request'} requires",
            hint="try the other resolver, and please report this",
        )
    return tuple(
        _wheel(release, activated[release.pin.name].requires, index)
        for release in sorted(releases, key=lambda release: release.pin.name)
        if release.pin.name in activated
    )


def _wheel(release: Release, requires: tuple[str, ...], index: PythonIndex) -> Wheel:
    file = release.file
    if file.size is None or file.sha256 is None:
        raise ValueError(f"{file.filename} is not complete")
    return Wheel(
        name=release.pin.name,
        version=str(Version(release.pin.version)),
        file=file.filename,
        size=file.size,
        sha256=file.sha256,
        hash_source=release.hash_source,
        index=release.index,
        path=path_of(file.url, index.address(release.index).url),
        uploaded=file.uploaded,
        requires_python=release.metadata.requires_python or file.requires_python,
        requires=requires,
        license=release.metadata.license,
    )
