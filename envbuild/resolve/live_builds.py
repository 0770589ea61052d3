"""The builds of one target, joined to this machine: its index, its store, its sandbox."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.errors import NoSolutionError
from envbuild.lock.model import Deb, Wheel
from envbuild.platforms import PLATFORMS
from envbuild.progress import Progress
from envbuild.remote.index.client import PythonIndex
from envbuild.resolve.python.direct_requirements import without_userinfo
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.python.resolve import resolve_python
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.python.uv import UvResolver
from envbuild.resolve.resolvers import Foundation
from envbuild.resolve.sources.archives import SourceArchives, fetch_build_wheels
from envbuild.resolve.sources.build import SourceBuilder
from envbuild.resolve.sources.builder import ResolvedBuilder
from envbuild.resolve.sources.release import BuiltWheel
from envbuild.resolve.sources.sandbox import Sandbox
from envbuild.resolve.sources.wheel_content import FindBuilt
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.direct_references import is_direct
from envbuild.spec.problems import RefusedError
from envbuild.spec.request import VariantRequest
from envbuild.spec.requirements import normalized_requirement
from envbuild.store.store import Store


class BuildResolvers(Protocol):
    """What builds need of the resolvers of a lock."""

    cache: Path
    index: PythonIndex
    environment: Mapping[str, str]
    upgrade: Upgrade
    progress: Progress
    sandbox: Sandbox

    @property
    def built_elsewhere(self) -> FindBuilt:
        """Looks for wheels that others built from source."""

    @property
    def store(self) -> Store:
        """Where artifacts are fetched to."""

    @property
    def vendor(self) -> Path | None:
        """The folder of vendored artifacts, if one is named."""

    def builder(
        self, request: VariantRequest, foundation: Foundation, *, previous: tuple[Deb, ...]
    ) -> ResolvedBuilder:
        """Return what wheels are built on."""


@dataclass(frozen=True, slots=True)
class LiveBuilds:
    """The builds of one target."""

    resolvers: BuildResolvers
    request: VariantRequest
    foundation: Foundation
    previous: PythonResolution

    def builder(self) -> SourceBuilder:
        """Return what builds the sources of this target; it asks nobody before there is one."""
        resolvers = self.resolvers
        index = self._index()
        return SourceBuilder(
            target=self._target(),
            archives=SourceArchives(
                index=index,
                store=resolvers.store,
                cache=resolvers.cache,
                vendor=resolvers.vendor,
                progress=resolvers.progress,
            ),
            builder=lambda: resolvers.builder(
                self.request, self.foundation, previous=self.previous.builds.debs
            ),
            sandbox=resolvers.sandbox,
            uv=self._uv(on_loopback=True),
            resolve_wheels=self._resolve_wheels,
            fetch_wheels=self._fetch_wheels,
            cache=resolvers.cache,
            progress=resolvers.progress,
            elsewhere=resolvers.built_elsewhere,
            locked=self._locked(),
        )

    def _index(self) -> PythonIndex:
        return self.resolvers.index.bound_to(self.request.pip.indexes, self.request.pip.find_links)

    def _locked(self) -> Mapping[str, BuiltWheel]:
        """Return what the previous lock has and is not to be upgraded, by key of the source."""
        known = self.previous.builds.by_source(self.previous.wheels)
        wheels = {wheel.file: wheel for wheel in self.previous.wheels}
        kept = {wheel.file for wheel in self.resolvers.upgrade.kept(wheels.values())}
        return {
            key: built for key, built in known.items() if built.file in kept and self._may_build_with(built)
        }

    def _may_build_with(self, built: BuiltWheel) -> bool:
        """Return whether what a wheel was built with is within ``build-constraints``."""
        environment = self._target().marker_environment
        versions = {wheel.name: wheel.version for wheel in built.requires}
        asked = [Requirement(line) for line in self.request.pip.build_constraints]
        return all(
            one.specifier.contains(versions[name], prereleases=True)
            for one in asked
            if (name := canonicalize_name(one.name)) in versions
            and (one.marker is None or one.marker.evaluate(environment))
        )

    def _uv(self, *, on_loopback: bool = False) -> UvResolver:
        resolvers = self.resolvers
        return UvResolver(
            resolvers.index.configuration, environment=resolvers.environment, on_loopback=on_loopback
        )

    def _resolve_wheels(self, requirements: Sequence[str]) -> tuple[Wheel, ...]:
        """Return the wheels that satisfy what a build asks for, on the same Python."""
        try:
            wanted = tuple(sorted({normalized_requirement(line) for line in requirements}))
        except RefusedError as error:
            raise NoSolutionError(error.message, hint=error.hint) from error
        if placed := [line for line in wanted if is_direct(line)]:
            # else a package could have this machine fetch whatever it names
            raise NoSolutionError(
                f"it asks for `{without_userinfo(placed[0])}`, and only the spec says where packages are",
                hint="take another version, or one that has a wheel",
            )
        pip = self.request.pip
        asked = pip.model_copy(
            update={
                "requirements": wanted,
                "constraints": pip.build_constraints,
                "build": (),
                "wheels_only": True,
            }
        )
        return resolve_python(
            self.request.model_copy(update={"pip": asked}),
            self._target(),
            resolver=self._uv(),
            index=self.resolvers.index,
            cache=self.resolvers.cache,
            progress=self.resolvers.progress,
            previous=self.previous.builds.requires,
            upgrade=self.resolvers.upgrade,
        ).wheels

    def _fetch_wheels(self, wheels: Iterable[Wheel]) -> Mapping[str, Path]:
        resolvers = self.resolvers
        return fetch_build_wheels(
            wheels,
            index=self._index(),
            store=resolvers.store,
            vendor=resolvers.vendor,
            progress=resolvers.progress,
        )

    def _target(self) -> TargetPython:
        return target_python(self.foundation)


def target_python(foundation: Foundation) -> TargetPython:
    """Return the Python that environments on ``foundation`` run."""
    return TargetPython(
        platform=PLATFORMS[foundation.base.platform],
        libc=foundation.base.libc,
        version=foundation.interpreter.version,
    )
