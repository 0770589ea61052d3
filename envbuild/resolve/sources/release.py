"""Source archives that a resolver may choose, and wheels made of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from packaging.utils import NormalizedName

from envbuild.formats.core_metadata import WheelMetadata
from envbuild.lock.model import Deb, Lock, Target, Wheel, WheelSource
from envbuild.remote.index.configuration import DEFAULT_INDEX
from envbuild.remote.index.page import IndexFile
from envbuild.resolve.sources.builder import ResolvedBuilder, locked_builder


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRelease:
    """One version of a distribution as source."""

    name: NormalizedName
    version: str | None
    """None: only its metadata tells, as of a commit."""

    file: IndexFile
    index: str = DEFAULT_INDEX
    url: str | None = None
    """Address that the spec itself gives, of the archive or of a repository."""

    commit: str | None = None
    reference: str | None = None
    described: str | None = None
    subdirectory: str = ""
    is_hash_computed: bool = False
    """Whether the index gave no hash, so that fetching the archive told it."""

    @property
    def key(self) -> str:
        """What tells the source from all others; it must have been fetched."""
        return source_key(self.file.sha256 or "", self.subdirectory)

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.version else self.name


def source_key(sha256: str, subdirectory: str | None) -> str:
    """Return the key of the project in a folder of an archive: one repository may have several."""
    return f"{sha256} {subdirectory or ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWheel:
    """A wheel made of a source, and what the lock says of both."""

    file: str
    size: int
    """Bytes."""

    sha256: str
    metadata: WheelMetadata
    source: WheelSource
    requires: tuple[Wheel, ...]
    """What it is built with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelBuilds:
    """All that the lock holds because some wheels of a target are built."""

    sources: tuple[WheelSource, ...] = ()
    """Sorted by wheel; each names its builder by digest, until the lock has a key for it."""

    requires: tuple[Wheel, ...] = ()
    builder: ResolvedBuilder | None = None

    @property
    def debs(self) -> tuple[Deb, ...]:
        """Packages of the builder alone."""
        return self.builder.debs if self.builder else ()

    def by_source(self, wheels: Iterable[Wheel]) -> dict[str, BuiltWheel]:
        """Return each of ``wheels`` that is built, by :attr:`SourceRelease.key` of its source."""
        built = {wheel.file: wheel for wheel in wheels}
        tools = {wheel.file: wheel for wheel in self.requires}
        return {
            source_key(source.sha256, source.subdirectory): BuiltWheel(
                file=source.wheel,
                size=built[source.wheel].size,
                sha256=built[source.wheel].sha256,
                metadata=WheelMetadata(
                    requires=built[source.wheel].requires,
                    requires_python=built[source.wheel].requires_python,
                    license=built[source.wheel].license,
                ),
                source=source,
                requires=tuple(tools[file] for file in source.requires),
            )
            for source in self.sources
            if source.wheel in built
        }


NO_BUILDS: Final = WheelBuilds()


def locked_builds(lock: Lock, target: Target) -> WheelBuilds:
    """Return what ``lock`` holds because some wheels of ``target`` are built."""
    sources = lock.sources_of(target)
    if not sources:
        return NO_BUILDS
    builder = locked_builder(lock, sources[0])
    requires = {wheel.file: wheel for source in sources for wheel in lock.build_wheels_of(source)}
    return WheelBuilds(
        sources=tuple(source.model_copy(update={"builder": builder.digest}) for source in sources),
        requires=tuple(requires[file] for file in sorted(requires)),
        builder=builder,
    )
