"""The resolvers of a lock, joined to this machine: its apt, its indexes, its registry credentials."""

import contextlib
import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.cache.location import cache_folder, vendor_folder
from envbuild.catalog.active import catalog_in_force
from envbuild.catalog.bases import DISTRIBUTIONS
from envbuild.catalog.tables import Catalog
from envbuild.errors import NoSolutionError, SpecError
from envbuild.formats.apt_sources_list import parse_source_list
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Deb, Interpreter, Wheel
from envbuild.platforms import PLATFORMS, PlatformName
from envbuild.progress import Progress
from envbuild.remote.apt import AptSettings, Keyring, read_settings
from envbuild.remote.index.client import PythonIndex
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.apt.system import resolve_system
from envbuild.resolve.apt.world import AptWorld, world_of_distribution, world_of_image
from envbuild.resolve.base.packages import resolve_packages_base
from envbuild.resolve.gpu.architectures import WheelArchitectures, read_architectures
from envbuild.resolve.python.pip_tools import PipToolsResolver
from envbuild.resolve.python.resolve import CONDA_INSTALLER, INSTALLER, pin_tool, resolve_python
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.python.uv import UvResolver
from envbuild.resolve.resolvers import Foundation, Upgrade
from envbuild.spec.request import VariantRequest
from envbuild.store.fetch import fetch_all
from envbuild.store.locators import IndexLocator
from envbuild.store.plan import wheel_artifact
from envbuild.store.store import Store

if TYPE_CHECKING:
    from envbuild.resolve.base.image import ImageBaseFacts
    from envbuild.resolve.conda.resolution import CondaResolution


@dataclass
class LiveResolvers:
    """Resolves with what this machine is configured for.  One object serves one run."""

    cache: Path
    index: PythonIndex
    environment: dict[str, str]
    catalog: Catalog
    _tools: dict[str, str] = field(default_factory=dict)
    _images: "dict[str, ImageBaseFacts]" = field(default_factory=dict)

    def foundation(
        self,
        request: VariantRequest,
        platform: PlatformName,
        *,
        previous: Foundation | None,
        upgrade: Upgrade,
        progress: Progress,
    ) -> Foundation:
        """Return the base: from its registry, or bootstrapped from packages."""
        if request.base.packages is None:
            facts, interpreter = self._with_python(request, platform, progress)
            # a build clamps what is newer than its epoch: nothing of the base may be
            newest = max(facts.base.created, facts.newest)
            base = facts.base.model_copy(update={"created": newest})
            return Foundation(base=base, interpreter=interpreter)
        self._note_apt()
        found = resolve_packages_base(
            self.apt,
            request.base.packages,
            # with conda packages any Python will do: it only runs what lays them down
            python=DISTRIBUTIONS[request.base.packages] if request.conda else request.python,
            platform=PLATFORMS[platform],
            settings=self.apt_settings,
            snapshot=request.snapshot,
            previous=previous.debs if previous else (),
            upgrade=upgrade,
            progress=progress,
        )
        return Foundation(base=found.base, interpreter=found.interpreter, debs=found.debs)

    def system(
        self,
        request: VariantRequest,
        foundation: Foundation,
        *,
        previous: tuple[Deb, ...],
        upgrade: Upgrade,
        progress: Progress,
    ) -> tuple[Deb, ...]:
        """Return the packages to lay on ``foundation``."""
        self._note_apt()
        world, installed = self._ground(request, foundation, progress)
        return resolve_system(
            self.apt,
            world,
            (*request.system.packages, *foundation.python_packages),
            installed=installed,
            previous=previous,
            upgrade=upgrade,
            progress=progress,
        )

    def python(
        self,
        request: VariantRequest,
        foundation: Foundation,
        *,
        previous: tuple[Wheel, ...],
        upgrade: Upgrade,
        progress: Progress,
    ) -> tuple[Wheel, ...]:
        """Return the wheels of the environment."""
        kind = UvResolver if request.pip.resolver == "uv" else PipToolsResolver
        resolver = kind(self.index.configuration, environment=self.environment)
        self._tools |= resolver.tools()
        return resolve_python(
            request,
            _target_python(foundation),
            provided=foundation.provided,
            resolver=resolver,
            index=self.index,
            cache=self.cache,
            progress=progress,
            previous=previous,
            upgrade=upgrade.everything,
            upgrade_packages=upgrade.packages,
        )

    def architectures(
        self, request: VariantRequest, wheels: tuple[Wheel, ...], *, progress: Progress
    ) -> WheelArchitectures:
        """Return what GPU architectures ``wheels`` have device code for; those not yet read are fetched."""
        store = Store(self.cache)
        locator = IndexLocator(lambda: self.index.bound_to(request.pip.indexes))

        def fetch(wanted: Sequence[Wheel]) -> None:
            progress.on_stage("fetching wheels to read their GPU architectures")
            fetch_all(
                [wheel_artifact(wheel, locator) for wheel in wanted],
                store=store,
                vendor=vendor_folder(),
                progress=progress,
            )

        return read_architectures(wheels, store=store, fetch=fetch, cache=self.cache, progress=progress)

    def conda(
        self,
        request: VariantRequest,
        foundation: Foundation,
        *,
        previous: tuple[CondaPackage, ...],
        upgrade: Upgrade,
        progress: Progress,
    ) -> "CondaResolution":
        """Return the conda packages of the environment, and the Python among them."""
        from envbuild.remote.channels import read_channel_configuration
        from envbuild.resolve.conda.resolve import CondaResolver

        for tool in ("conda-lock", "py-rattler"):
            self._tools[tool] = importlib.metadata.version(tool)
        resolver = CondaResolver(
            configuration=read_channel_configuration(self.environment),
            store=Store(self.cache),
            cache=self.cache,
            environment=self.environment,
            vendor=vendor_folder(self.environment),
        )
        return resolver.resolve(
            request,
            foundation.base,
            previous=previous,
            upgrade=upgrade.everything,
            upgrade_packages=upgrade.packages,
            progress=progress,
        )

    def conda_installer(self, foundation: Foundation, *, previous: Wheel | None, progress: Progress) -> Wheel:
        """Return the wheel whose program lays conda packages down: the release this envbuild has itself."""
        if previous and previous.version == importlib.metadata.version(CONDA_INSTALLER):
            return previous
        progress.on_stage("looking up the wheel that lays conda packages down")
        return pin_tool(CONDA_INSTALLER, _target_python(foundation), index=self.index, cache=self.cache)

    def installer(self, foundation: Foundation, *, previous: Wheel | None, progress: Progress) -> Wheel:
        """Return the wheel that installs the others: the release this envbuild was tested with."""
        if previous and previous.version == importlib.metadata.version(INSTALLER):
            return previous
        progress.on_stage("looking up the wheel that installs the others")
        return pin_tool(INSTALLER, _target_python(foundation), index=self.index, cache=self.cache)

    def tools(self) -> dict[str, str]:
        """Return the version of each program and table that had a say."""
        return self._tools | {"catalog": self.catalog.version}

    @cached_property
    def apt(self) -> Apt:
        """This machine's apt, on private roots."""
        return Apt(self.cache / "apt", environment=self.environment)

    @cached_property
    def apt_settings(self) -> AptSettings:
        """Mirrors and keyrings, as this machine is configured."""
        return read_settings(self.environment)

    def _note_apt(self) -> None:
        if "apt" not in self._tools:
            self._tools["apt"] = self.apt.version()

    def _ground(
        self, request: VariantRequest, foundation: Foundation, progress: Progress
    ) -> tuple[AptWorld, str | tuple[Deb, ...]]:
        """Return the archives a base takes packages from, and what it has installed."""
        base = foundation.base
        platform = PLATFORMS[base.platform]
        snapshot = request.snapshot
        if base.packages:
            world = world_of_distribution(
                base.packages.distribution, platform=platform, settings=self.apt_settings, snapshot=snapshot
            )
            return world, foundation.debs
        if base.image is None:
            raise ValueError("a base has either an image or packages")
        # the base may be a previous lock's: read exactly what is pinned, whatever its tag names today
        pinned = f"{base.image.reference.partition('@')[0]}@{base.image.digest}"
        facts = self._image(pinned, None, base.platform, progress)
        if not facts.can_install:
            raise NoSolutionError(
                f"{base.image.reference} has no dpkg, so no system packages can be laid on it",
                hint="take another base, or leave [system] empty",
            )
        return self._world_of(facts, snapshot, key=base.key)

    def _world_of(self, facts: "ImageBaseFacts", snapshot: date | None, *, key: str) -> tuple[AptWorld, str]:
        """Return the archives an image takes packages from, and its dpkg status."""
        world = world_of_image(
            key,
            [
                source
                for path, text in facts.apt_sources.items()
                for source in parse_source_list(text, name=path)
            ],
            [Keyring(path=path, content=content) for path, content in facts.apt_keyrings.items()],
            platform=PLATFORMS[facts.base.platform],
            settings=self.apt_settings,
            snapshot=snapshot,
        )
        return world, facts.dpkg_status

    def _with_python(
        self, request: VariantRequest, platform: PlatformName, progress: Progress
    ) -> "tuple[ImageBaseFacts, Interpreter]":
        """Return an image, and the Python in it or for it.

        Images of CUDA have none: then it is the distribution's own where that is the wanted one, else a
        standalone build.

        :raises SpecError: there is no such Python.
        """
        from envbuild.resolve.base.python import distribution_python, standalone_python

        reference = str(request.base.image)
        try:
            facts = self._image(reference, request.python, platform, progress)
        except SpecError:
            if request.gpu is None:
                raise
            facts = self._image(reference, None, platform, progress)
            if facts.can_install and distribution_python(facts.base.os) == request.python:
                progress.on_stage(f"Python {request.python} of {facts.base.os.pretty_name}")
                world, installed = self._world_of(facts, request.snapshot, key=facts.base.key)
                return facts, self._packaged(request.python, world, installed, progress)
            progress.on_stage(f"standalone Python {request.python}")
            found = standalone_python(
                request.python,
                PLATFORMS[platform],
                image=reference,
                snapshot=request.snapshot,
                store=Store(self.cache),
                vendor=vendor_folder(),
            )
            self._tools["pbs-installer"] = importlib.metadata.version("pbs-installer")
            return facts, found
        if facts.interpreter is None:
            raise ValueError("an interpreter was asked for")
        return facts, facts.interpreter

    def _packaged(
        self, python: str, world: AptWorld, installed: str | tuple[Deb, ...], progress: Progress
    ) -> Interpreter:
        """Return the Python that the distribution's packages will bring."""
        from envbuild.resolve.base.python import packaged_interpreter

        self._note_apt()
        debs = resolve_system(
            self.apt,
            world,
            (f"python{python}",),
            installed=installed,
            previous=(),
            upgrade=Upgrade(),
            progress=progress,
        )
        return packaged_interpreter(python, debs)

    def _image(
        self, reference: str, python: str | None, platform: PlatformName, progress: Progress
    ) -> "ImageBaseFacts":
        from envbuild.remote.registry.client import RegistryClient
        from envbuild.resolve.base.image import read_image_base

        key = f"{reference} {python} {platform}"
        if key not in self._images:
            progress.on_stage(f"reading {reference}")
            self._images[key] = read_image_base(
                reference,
                PLATFORMS[platform],
                python,
                registry=RegistryClient(),
                cache=self.cache,
                progress=progress,
            )
        return self._images[key]


def _target_python(foundation: Foundation) -> TargetPython:
    return TargetPython(
        platform=PLATFORMS[foundation.base.platform],
        libc=foundation.base.libc,
        version=foundation.interpreter.version,
    )


@contextlib.contextmanager
def open_resolvers() -> Iterator[LiveResolvers]:
    """Yield the resolvers of one run."""
    cache = cache_folder()
    # what is fetched to be read stays until it is read
    with Store(cache).use(), contextlib.closing(PythonIndex.of_this_machine()) as index:
        yield LiveResolvers(
            cache=cache, index=index, environment=dict(os.environ), catalog=catalog_in_force()
        )
