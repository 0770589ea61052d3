"""From a request for Python distributions to the exact wheels of one target."""

import importlib.metadata
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from envbuild.cache.folders import WHEEL_METADATA
from envbuild.errors import EnvbuildError, NoSolutionError, SourcesNeededError, SpecError
from envbuild.lock.model import Wheel
from envbuild.parallel import DaemonPool
from envbuild.progress import SILENT, Progress
from envbuild.remote.git.client import GitClient
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import DEFAULT_INDEX
from envbuild.remote.index.metadata import MetadataReader
from envbuild.remote.index.page import IndexFile
from envbuild.resolve.python.backend import Pin, PythonResolver, Question
from envbuild.resolve.python.choose_versions import choose_versions
from envbuild.resolve.python.direct_requirements import FIELD, DirectFinder, DirectRelease, known_sources
from envbuild.resolve.python.paths import path_of
from envbuild.resolve.python.provided import provided_pins, refuse_conflicts
from envbuild.resolve.python.releases import Release, ReleaseFinder
from envbuild.resolve.python.requirements import activate, left_out
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.python.started import StartedResolution
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.sources.build import SourceBuilder, source_release
from envbuild.resolve.sources.release import BuiltWheel, SourceRelease, WheelBuilds
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade
from envbuild.spec.direct_references import is_direct, parse_direct
from envbuild.spec.request import VariantRequest
from envbuild.store.store import Store

UV_CHOOSES_HINT = 'resolver = "uv" chooses versions that the base itself can load'

NO_BUILDS_FOR_CONDA = "nothing is built from source for a conda environment yet"
FROM_A_CHANNEL = "take the package from a channel, in [conda] packages"

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
    sources: SourceBuilder | None = None,
    git: GitClient | None = None,
    started: Iterable[StartedResolution] = (),
) -> PythonResolution:
    """Return the wheels ``target`` installs for ``request``.

    ``requires`` of each holds the lines that count on this target.  ``previous`` is what was locked for it:
    unless ``upgrade`` gives it up, a distribution keeps its version and file where nothing that is asked
    speaks against them.  ``provided`` are distributions of conda packages,
    ``name==version``: they are taken as they are and not among the wheels.  ``cache`` is envbuild's cache
    folder.  ``sources`` builds what has no wheel; None: wheels are taken, whatever sources would give.
    Of ``started`` the one is taken over that was asked the same.

    :raises SpecError: the resolver cannot answer such a request.
    :raises NoSolutionError: nothing satisfies the request on this target.
    :raises SourcesNeededError: wheels give older versions than sources, and the request allows neither.
    :raises BuildFailedError: a source cannot be built.
    :raises NetworkError: an index cannot be read.
    """
    if not request.pip.requirements:
        return PythonResolution()
    index = index.bound_to(request.pip.indexes, request.pip.find_links)
    for note in index.notes_once():
        progress.on_note(note)
    pins_there = provided_pins(provided)
    if pins_there and resolver.name != "uv":
        raise SpecError.at(
            "pip.resolver",
            f"`{resolver.name}` cannot resolve against what conda provides",
            'write resolver = "uv"',
        )
    _refuse_builds(request, resolver)
    refuse_conflicts(request.pip.requirements, pins_there, target.marker_environment)
    finder = DirectFinder(
        index=index,
        store=Store(cache),
        git=git or GitClient(os.environ),
        reader=MetadataReader(index, WHEEL_METADATA.path(cache)),
        builder=sources,
        progress=progress,
        known=known_sources(upgrade.kept(previous), sources.locked_sources if sources else ()),
    )
    direct = finder.find(request.pip.requirements, target, sources=_sources(request), provided=pins_there)
    placed = tuple(release.pin for release in direct.releases)
    there = {pin.name for pin in (*pins_there, *placed)}
    previous = [wheel for wheel in previous if canonicalize_name(wheel.name) not in there]
    question = replace(
        _question(request, target, index, previous),
        requirements=direct.requirements,
        provided=pins_there,
        placed=placed,
        upgrade=upgrade,
    )
    for name, source in sorted(question.sources.items()):
        if source in request.pip.find_links:
            # read before the resolver does, whose words for a page that is none say less
            index.page(name, source)
    keep = _files_of(upgrade.kept(previous))
    begun = next((one for one in started if one.answers(question, keep)), None)
    if begun:
        resolver = begun
    releases_of = begun.finder if begun else ReleaseFinder(question, index=index, cache=cache, keep=keep)
    try:
        chosen = choose_versions(
            question,
            request.pip,
            resolver=resolver,
            finder=releases_of,
            index=index,
            progress=progress,
            sources=sources,
        )
    except SourcesNeededError as error:
        raise _with_what_can_be_done(error, request, resolver) from error
    try:
        releases = releases_of.find(chosen.wheels, progress)
    except NoSolutionError as error:
        if resolver.name == "uv":
            raise
        # a resolver for this machine's own libc can pick what the base is too old for
        raise NoSolutionError(error.message, hint=UV_CHOOSES_HINT, problems=error.problems) from error
    to_build = [*chosen.sources, *(source_release(item.source) for item in direct.releases if item.is_source)]
    built = {release.name: sources.build(release) for release in to_build} if sources else {}
    made = tuple(_built_release(release, built[release.name]) for release in to_build)
    by_address = [release for release in direct.releases if not release.is_source]
    wheels = _wheels([*releases, *made], question, index, by_address)
    return PythonResolution(wheels=wheels, builds=_builds(wheels, built.values(), sources))


def start_python(
    request: VariantRequest,
    target: TargetPython,
    *,
    resolver: PythonResolver,
    index: PythonIndex,
    cache: Path,
    threads: DaemonPool,
    previous: Sequence[Wheel] = (),
    upgrade: Upgrade = NO_UPGRADE,
) -> StartedResolution | None:
    """Begin with what :func:`resolve_python` asks first, or return None where more must be known for that."""
    pip = request.pip
    if not pip.requirements or pip.build or request.conda or any(map(is_direct, pip.requirements)):
        return None
    index = index.bound_to(pip.indexes, pip.find_links)
    return StartedResolution.start(
        replace(_question(request, target, index, previous), upgrade=upgrade),
        keep=_files_of(upgrade.kept(previous)),
        resolver=resolver,
        index=index,
        cache=cache,
        threads=threads,
    )


def _files_of(wheels: Iterable[Wheel]) -> dict[NormalizedName, str]:
    return {canonicalize_name(wheel.name): wheel.file for wheel in wheels}


def _refuse_builds(request: VariantRequest, resolver: PythonResolver) -> None:
    """Raise where nothing can be built from source.

    :raises SpecError: another resolver is asked for, or the environment's Python is conda's.
    """
    if not request.pip.build:
        _refuse_addresses_of_sources(request)
        return
    if resolver.name != "uv":
        raise SpecError.at(
            "pip.build", f"`{resolver.name}` resolves wheels alone here", 'write resolver = "uv"'
        )
    if request.conda is not None:
        raise SpecError.at("pip.build", NO_BUILDS_FOR_CONDA, FROM_A_CHANNEL)


def _refuse_addresses_of_sources(request: VariantRequest) -> None:
    """Raise where an address in a conda environment is one of a source.  :raises SpecError: it is."""
    if request.conda is None:
        return
    direct = [parse_direct(text) for text in request.pip.requirements if is_direct(text)]
    if named := [reference.name for reference in direct if reference.kind != "wheel"]:
        raise SpecError.at(FIELD, f"`{named[0]}`: {NO_BUILDS_FOR_CONDA}", FROM_A_CHANNEL)


def _with_what_can_be_done(
    error: SourcesNeededError, request: VariantRequest, resolver: PythonResolver
) -> NoSolutionError:
    """Return an error that names only what this request can be given: some can have no builds."""
    accepted = "wheels-only = true in [pip] takes what wheels give"
    if request.conda is not None:
        hint = f"{FROM_A_CHANNEL}; or {accepted}"
    elif resolver.name != "uv":
        hint = f'resolver = "uv" in [pip] can build them; or {accepted}'
    else:
        return error
    return NoSolutionError(error.message, hint=hint, problems=error.problems, detail=error.detail)


def _built_release(source: SourceRelease, built: BuiltWheel) -> Release:
    """Return a wheel that was built as the file of its release."""
    _, version, _, _ = parse_wheel_filename(built.file)
    file = IndexFile(
        filename=built.file, url="", sha256=built.sha256, size=built.size, uploaded=source.file.uploaded
    )
    return Release(
        pin=Pin(name=source.name, version=str(version)),
        index=source.index,
        file=file,
        hash_source="built",
        metadata=built.metadata,
    )


def _builds(
    wheels: Iterable[Wheel], built: Iterable[BuiltWheel], sources: SourceBuilder | None
) -> WheelBuilds:
    """Return what the lock holds because of the wheels that were built and are needed."""
    needed = {wheel.file for wheel in wheels}
    kept = [wheel for wheel in built if wheel.file in needed]
    if not kept or sources is None:
        return WheelBuilds()
    requires = {wheel.file: wheel for item in kept for wheel in item.requires}
    return WheelBuilds(
        sources=tuple(sorted((item.source for item in kept), key=lambda source: source.wheel)),
        requires=tuple(requires[file] for file in sorted(requires)),
        builder=sources.resolved_builder,
    )


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
    sources = _sources(request)
    pages = request.pip.find_links
    preferred = {canonicalize_name(wheel.name): wheel.version for wheel in previous}
    return Question(
        requirements=request.pip.requirements,
        constraints=request.pip.constraints,
        target=target,
        default=index.address() if index.configuration.names_default else None,
        indexes=tuple(index.address(name) for name in sorted(set(sources.values()) - pages.keys())),
        pages=tuple(index.address(name) for name in sorted(set(sources.values()) & pages.keys())),
        sources=sources,
        snapshot=request.snapshot,
        preferred=tuple(Pin(name=name, version=preferred[name]) for name in sorted(preferred)),
    )


def _sources(request: VariantRequest) -> dict[NormalizedName, str]:
    """Return the name of the index or page of each distribution that is bound to one."""
    return {
        canonicalize_name(name): source
        for name, source in request.pip.sources.items()
        if source != DEFAULT_INDEX
    }


def _wheels(
    releases: Sequence[Release],
    question: Question,
    index: PythonIndex,
    direct: Sequence[DirectRelease] = (),
) -> tuple[Wheel, ...]:
    """Return the wheels that are really needed; a resolver may have been asked for more to bind it."""
    declared: dict[NormalizedName, tuple[str, ...]] = {pin.name: () for pin in question.provided}
    declared |= {release.pin.name: release.metadata.requires for release in releases}
    declared |= {release.pin.name: release.metadata.requires for release in direct}
    activated = activate(question.requirements, declared, question.target.marker_environment)
    for missing, by in left_out(activated, declared):
        raise EnvbuildError(
            f"the resolver left out `{missing}`, which {f'`{by}`' if by else 'the request'} requires",
            hint="try the other resolver, and please report this",
        )
    found = {
        release.pin.name: _wheel(release, activated[release.pin.name].requires, index)
        for release in releases
        if release.pin.name in activated
    }
    found |= {
        release.pin.name: release.wheel(activated[release.pin.name].requires)
        for release in direct
        if release.pin.name in activated
    }
    return tuple(found[name] for name in sorted(found))


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
        path=path_of(file.url, index.files_address(release.index)),
        uploaded=file.uploaded,
        requires_python=release.metadata.requires_python or file.requires_python,
        requires=requires,
        license=release.metadata.license,
    )
