"""The requirements of one target that have addresses: what is there, and how a resolver hears of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from envbuild.errors import IntegrityError, NoSolutionError, Problem, SpecError
from envbuild.formats.core_metadata import WheelMetadata
from envbuild.lock.model import Wheel, WheelSource
from envbuild.lock.requires_dist import parse_requirement
from envbuild.progress import SILENT, Progress
from envbuild.remote.git.client import GitClient
from envbuild.remote.http import without_credentials
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import DEFAULT_INDEX
from envbuild.remote.index.metadata import MetadataReader
from envbuild.remote.index.page import IndexFile
from envbuild.resolve.python.backend import Pin, PlacedPin
from envbuild.resolve.python.direct import DirectSource, SourceMetadata, fetch_direct
from envbuild.resolve.python.files import fits
from envbuild.resolve.python.shortage import what_there_is
from envbuild.resolve.python.target import TargetPython
from envbuild.spec.direct_references import DirectReference, is_direct, parse_direct
from envbuild.store.store import Store

FIELD = "pip.requirements"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectRelease:
    """One distribution by address, as a target installs it."""

    pin: PlacedPin
    source: DirectSource
    metadata: WheelMetadata

    @property
    def is_source(self) -> bool:
        """Whether it must be built first."""
        return self.source.kind != "wheel"

    def wheel(self, requires: tuple[str, ...]) -> Wheel:
        """Return it as it is locked; ``requires`` are the lines that hold.

        :raises SpecError: it must be built first.
        """
        if self.source.kind != "wheel":
            raise SpecError.of([needs_build(self.source.name, self.source.url)])
        return Wheel(
            name=self.pin.name,
            version=self.pin.version,
            file=self.source.filename,
            size=self.source.size,
            sha256=self.source.sha256,
            hash_source="computed",
            url=self.source.url,
            requires_python=self.metadata.requires_python,
            requires=requires,
            license=self.metadata.license,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectRequirements:
    """What of a request has an address, apart from the rest."""

    requirements: tuple[str, ...]
    """All requirements of the target, those with addresses without them."""

    releases: tuple[DirectRelease, ...] = ()
    """Sorted by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectFinder:
    """Finds what is at the addresses of a request."""

    index: PythonIndex
    store: Store
    git: GitClient
    reader: MetadataReader
    builder: SourceMetadata | None = None
    """Knows what sources are once they are built; None: they are refused."""

    progress: Progress = SILENT
    known: Mapping[NormalizedName, DirectSource] = field(default_factory=dict)
    """What is locked of each."""

    def find(
        self,
        requirements: Sequence[str],
        target: TargetPython,
        *,
        sources: Mapping[NormalizedName, str],
        provided: Iterable[Pin] = (),
    ) -> DirectRequirements:
        """Return the requirements that hold on ``target``, and what is at the addresses among them.

        ``sources`` binds distributions to indexes, ``provided`` come from conda: neither goes with an
        address.

        :raises SpecError: one distribution has two places, or must be built first.
        :raises NoSolutionError: a wheel does not fit the target.
        :raises IntegrityError: a file is not what was asked for.
        :raises NetworkError: an address cannot be read.
        """
        texts = [text for text in requirements if is_direct(text)]
        if not texts:
            return DirectRequirements(requirements=tuple(requirements))
        references = [
            reference for text in texts if _holds(reference := parse_direct(text), target.marker_environment)
        ]
        _refuse_two_places(references, sources, provided)
        if self.builder is None:
            _refuse_sources(references)
        by_name = {reference.name: reference for reference in references}
        found = [(by_name[name], *self._read(by_name[name], target)) for name in sorted(by_name)]
        extras = _extras(references)
        releases = tuple(
            DirectRelease(
                pin=_placed(reference, metadata, by_name.keys(), extras[reference.name], target),
                source=source,
                metadata=metadata,
            )
            for reference, source, metadata in found
        )
        plain = [text for text in requirements if not is_direct(text)]
        return DirectRequirements(
            requirements=tuple(sorted({*plain, *(reference.plain for reference in references)})),
            releases=releases,
        )

    def _read(self, reference: DirectReference, target: TargetPython) -> tuple[DirectSource, WheelMetadata]:
        if reference.kind == "wheel":
            _refuse_unfit(_index_file(reference), reference, target)
        source = fetch_direct(
            reference,
            index=self.index,
            store=self.store,
            git=self.git,
            known=self.known.get(reference.name),
            progress=self.progress,
        )
        if reference.kind != "wheel" and self.builder is not None:
            metadata = self.builder.of(source)
        else:
            metadata = self._metadata_of_wheel(reference, source)
            file = _index_file(reference, requires_python=metadata.requires_python)
            _refuse_unfit(file, reference, target)
        _refuse_other_project(reference, metadata)
        return source, metadata

    def _metadata_of_wheel(self, reference: DirectReference, source: DirectSource) -> WheelMetadata:
        file = IndexFile(filename=source.filename, url=source.url, sha256=source.sha256, size=source.size)
        try:
            if path := self.store.path_of(source.sha256):
                return self.reader.read_downloaded(reference.name, file, path)
            return self.reader.read(reference.name, file, DEFAULT_INDEX)
        except IntegrityError as error:
            raise IntegrityError(
                f"{without_credentials(reference.url)} is not a wheel of `{reference.name}`",
                hint="open the address: a page that asks for a login is a common cause",
                detail=error.detail or error.message,
            ) from error


def known_sources(
    wheels: Iterable[Wheel], sources: Iterable[WheelSource] = ()
) -> dict[NormalizedName, DirectSource]:
    """Return what is locked by address, by name; ``sources`` are those that wheels were built from."""
    known = {
        canonicalize_name(source.wheel.partition("-")[0]): DirectSource(
            name=canonicalize_name(source.wheel.partition("-")[0]),
            kind="git" if source.commit else "archive",
            url=source.url,
            reference=source.reference,
            commit=source.commit,
            described=source.described,
            subdirectory=source.subdirectory,
            sha256=source.sha256,
            size=source.size,
        )
        for source in sources
        if source.url
    }
    return known | {
        canonicalize_name(wheel.name): DirectSource(
            name=wheel.name, kind="wheel", url=wheel.url, sha256=wheel.sha256, size=wheel.size
        )
        for wheel in wheels
        if wheel.url
    }


def needs_build(name: str, address: str) -> Problem:
    """Return the problem of a source that nobody may build."""
    return Problem(
        FIELD,
        f"`{name}` needs to be built from source: {without_userinfo(address)}",
        f'add it to [pip] build: build = ["{name}"]',
    )


def _refuse_sources(references: Iterable[DirectReference]) -> None:
    sources = {reference.name: reference for reference in references if reference.kind != "wheel"}
    if sources:
        raise SpecError.of(needs_build(name, sources[name].address) for name in sorted(sources))


def _holds(reference: DirectReference, environment: Mapping[str, str]) -> bool:
    return reference.marker is None or Marker(reference.marker).evaluate({**environment, "extra": ""})


def _extras(references: Iterable[DirectReference]) -> dict[NormalizedName, set[str]]:
    found: dict[NormalizedName, set[str]] = {}
    for reference in references:
        found.setdefault(reference.name, {""}).update(reference.extras)
    return found


def _refuse_two_places(
    references: Sequence[DirectReference], sources: Mapping[NormalizedName, str], provided: Iterable[Pin]
) -> None:
    conda = {pin.name: pin.version for pin in provided}
    addresses: dict[NormalizedName, set[str]] = {}
    for reference in references:
        addresses.setdefault(reference.name, set()).add(without_userinfo(reference.address))
    problems = []
    for name, places in sorted(addresses.items()):
        if len(places) > 1:
            problems.append(Problem(FIELD, f"`{name}` has two addresses: {' and '.join(sorted(places))}"))
        if name in sources:
            place = f"{min(places)} and the index `{sources[name]}`"
            problems.append(Problem(f"pip.sources.{name}", f"`{name}` has two places: {place}"))
        if name in conda:
            place = f"{min(places)}, and conda provides {name} {conda[name]}"
            problems.append(Problem(FIELD, f"`{name}` is asked of {place}"))
    if problems:
        raise SpecError("a package comes from one place", problems=problems, hint="keep one of them")


def without_userinfo(address: str) -> str:
    """Return an address as it may be shown, with its revision."""
    head, mark, fragment = address.partition("#")
    return f"{without_credentials(head)}{mark}{fragment}"


def _index_file(reference: DirectReference, *, requires_python: str | None = None) -> IndexFile:
    return IndexFile(filename=reference.filename, url=reference.url, requires_python=requires_python)


def _refuse_unfit(file: IndexFile, reference: DirectReference, target: TargetPython) -> None:
    if not fits(file, target):
        raise NoSolutionError(
            f"{without_credentials(reference.url)} cannot be installed for {target}: there is "
            f"{what_there_is((file,), target)}",
            hint="take the wheel of this target, or give each target its own with a marker: "
            '`name @ address ; platform_machine == "x86_64"`',
        )


def _refuse_other_project(reference: DirectReference, metadata: WheelMetadata) -> None:
    name, version = metadata.name or "", metadata.version or ""
    if canonicalize_name(name) != reference.name:
        raise SpecError.at(
            FIELD,
            f"{without_userinfo(reference.address)} is `{name}`, not `{reference.name}`",
            f"write `{canonicalize_name(name)} @ {without_userinfo(reference.address)}`",
        )
    try:
        stated = Version(version)
    except InvalidVersion as error:
        raise IntegrityError(
            f"{without_userinfo(reference.address)} says it is version `{version}`, which is none"
        ) from error
    if reference.kind == "wheel" and stated != parse_wheel_filename(reference.filename)[1]:
        raise IntegrityError(f"`{reference.filename}` says it is version {version}")


def _placed(
    reference: DirectReference,
    metadata: WheelMetadata,
    direct: Iterable[NormalizedName],
    extras: Iterable[str],
    target: TargetPython,
) -> PlacedPin:
    requires = tuple(_without_addresses(reference, metadata, set(direct), set(extras), target))
    return PlacedPin(
        name=reference.name,
        version=str(Version(metadata.version or "")),
        requires=requires,
        requires_python=metadata.requires_python,
    )


def _without_addresses(
    reference: DirectReference,
    metadata: WheelMetadata,
    direct: set[NormalizedName],
    extras: set[str],
    target: TargetPython,
) -> Iterator[str]:
    """Yield what is required; what has an address must have one in the spec, where it is needed at all."""
    for line in metadata.requires:
        requirement = parse_requirement(line)
        if requirement.url is None:
            yield line
            continue
        name = canonicalize_name(requirement.name)
        if name in direct:
            wanted = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            yield f"{name}{wanted}" + (f" ; {requirement.marker}" if requirement.marker else "")
        elif _is_needed(requirement, extras, target):
            raise NoSolutionError(
                f"`{reference.name}` requires `{name}` from {without_userinfo(requirement.url)}, "
                "and only the spec says where packages are",
                hint=f'add it to [pip] packages: "{name} @ {without_userinfo(requirement.url)}"',
            )


def _is_needed(requirement: Requirement, extras: set[str], target: TargetPython) -> bool:
    if requirement.marker is None:
        return True
    environment = target.marker_environment
    return any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in extras)
