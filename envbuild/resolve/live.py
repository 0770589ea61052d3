"""The resolvers of a lock, joined to this machine: its apt, its indexes, its registry credentials."""

import contextlib
import importlib.metadata
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName

from envbuild.cache.folders import APT_LISTS, BUILT_WHEELS
from envbuild.cache.location import cache_folder, vendor_folder
from envbuild.catalog.active import catalog_in_force
from envbuild.catalog.bases import DISTRIBUTIONS
from envbuild.catalog.tables import Catalog
from envbuild.errors import NoSolutionError
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Deb, Interpreter, Wheel
from envbuild.platforms import PLATFORMS, PlatformName
from envbuild.progress import Progress
from envbuild.remote.apt import AptSettings, read_settings
from envbuild.remote.git.client import GitClient
from envbuild.remote.index.client import PythonIndex
from envbuild.resolve.apt.archives import AptArchives, archives_of_distribution, archives_of_image
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.apt.system import remembered_system, resolve_system
from envbuild.resolve.base.packages import resolve_packages_base
from envbuild.resolve.gpu.architectures import WheelArchitectures, read_architectures
from envbuild.resolve.live_builds import LiveBuilds, target_python
from envbuild.resolve.python.pip_tools import PipToolsResolver
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.python.resolve import CONDA_INSTALLER, INSTALLER, pin_tool, resolve_python
from envbuild.resolve.python.uv import UvResolver
from envbuild.resolve.resolvers import Foundation
from envbuild.resolve.sources.builder import ResolvedBuilder, builder_packages
from envbuild.resolve.sources.sandbox import NoSandbox, Sandbox
from envbuild.resolve.sources.wheel_content import FindBuilt, nowhere
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.request import VariantRequest
from envbuild.store.fetch import fetch_all
from envbuild.store.locators import IndexLocator
from envbuild.store.plan import artifact_of
from envbuild.store.store import Store

if TYPE_CHECKING:
    from envbuild.resolve.base.image import ImageBaseFacts
    from envbuild.resolve.conda.resolution import CondaResolution


@dataclass(kw_only=True)
class LiveResolvers:
    """Resolves with what this machine is configured for.  One object serves one run."""

    cache: Path
    index: PythonIndex
    environment: Mapping[str, str]
    catalog: Catalog
    upgrade: Upgrade
    progress: Progress
    sandbox: Sandbox = field(default_factory=NoSandbox)
    """Runs what must be built from source."""

    built_elsewhere: FindBuilt = nowhere
    """Looks for wheels that others built from source."""

    _tools: dict[str, str] = field(default_factory=dict)
    _images: "dict[tuple[object, ...], ImageBaseFacts]" = field(default_factory=dict)

    def foundation(
        self, request: VariantRequest, platform: PlatformName, *, previous: Foundation | None
    ) -> Foundation:
        """Return the base: from its registry, or bootstrapped from packages."""
        if request.base.packages is None:
            # images of CUDA have no Python
            needs_python = request.gpu is None
            facts = self._image(str(request.base.image), platform, request.python, needs_python=needs_python)
            return Foundation(base=facts.base, interpreter=self._interpreter(facts, request))
        found = resolve_packages_base(
            self.apt,
            request.base.packages,
            # with conda packages any Python will do: it only runs what lays them down
            python=DISTRIBUTIONS[request.base.packages] if request.conda else request.python,
            platform=PLATFORMS[platform],
            settings=self.apt_settings,
            snapshot=request.snapshot,
            previous=previous.debs if previous else (),
            upgrade=self.upgrade,
        )
        return Foundation(base=found.base, interpreter=found.interpreter, debs=found.debs)

    def system(
        self, request: VariantRequest, foundation: Foundation, *, previous: tuple[Deb, ...]
    ) -> tuple[Deb, ...]:
        """Return the packages to lay on ``foundation``."""
        archives, installed = self._archives(request, foundation)
        return resolve_system(
            self.apt,
            archives,
            (*request.system.packages, *foundation.python_packages),
            installed=installed,
            previous=previous,
            upgrade=self.upgrade,
        )

    def python(
        self, request: VariantRequest, foundation: Foundation, *, previous: PythonResolution
    ) -> PythonResolution:
        """Return the wheels of the environment; what has none is built, where that is allowed."""
        kind = UvResolver if request.pip.resolver == "uv" else PipToolsResolver
        resolver = kind(self.index.configuration, environment=self.environment)
        self._tools |= resolver.tools()
        return resolve_python(
            request,
            target_python(foundation),
            provided=foundation.provided,
            resolver=resolver,
            index=self.index,
            cache=self.cache,
            progress=self.progress,
            previous=previous.wheels,
            upgrade=self.upgrade,
            git=self.git,
            sources=LiveBuilds(self, request, foundation, previous).builder(),
        )

    def builder(
        self, request: VariantRequest, foundation: Foundation, *, previous: tuple[Deb, ...]
    ) -> ResolvedBuilder:
        """Return what the wheels of an environment on ``foundation`` are built on."""
        debs: tuple[Deb, ...] = ()
        packages = builder_packages(request, foundation.interpreter)
        try:
            archives, installed = self._archives(request, foundation)
        except NoSolutionError:
            # a base without dpkg can build what needs no compiler
            if request.system.packages or request.pip.build_packages:
                raise
        else:
            debs = remembered_system(
                self.apt,
                archives,
                (*packages, *foundation.python_packages),
                installed=installed,
                keep=self.upgrade.kept(previous),
                folder=BUILT_WHEELS.path(self.cache),
            )
        return ResolvedBuilder(
            base=foundation.base,
            base_debs=foundation.debs,
            interpreter=foundation.interpreter,
            debs=debs,
            installer=self.installer(foundation, previous=None),
            request=request,
        )

    def architectures(self, request: VariantRequest, wheels: tuple[Wheel, ...]) -> WheelArchitectures:
        """Return what GPU architectures ``wheels`` have device code for; those not yet read are fetched."""
        locator = IndexLocator(lambda: self.index.bound_to(request.pip.indexes, request.pip.find_links))

        def fetch(wanted: Sequence[Wheel]) -> None:
            self.progress.on_stage("fetching wheels to read their GPU architectures")
            artifacts = [artifact_of(wheel, locator) for wheel in wanted]
            fetch_all(artifacts, store=self.store, vendor=self.vendor, progress=self.progress)

        return read_architectures(
            wheels, store=self.store, fetch=fetch, cache=self.cache, progress=self.progress
        )

    def conda(
        self, request: VariantRequest, foundation: Foundation, *, previous: tuple[CondaPackage, ...]
    ) -> "CondaResolution":
        """Return the conda packages of the environment, and the Python among them."""
        from envbuild.remote.channels import read_channel_configuration
        from envbuild.resolve.conda.resolve import CondaResolver

        self._note("conda-lock", "py-rattler")
        resolver = CondaResolver(
            configuration=read_channel_configuration(self.environment),
            store=self.store,
            cache=self.cache,
            environment=self.environment,
            vendor=self.vendor,
            upgrade=self.upgrade,
            progress=self.progress,
        )
        return resolver.resolve(request, foundation.base, previous=previous)

    def conda_installer(self, foundation: Foundation, *, previous: Wheel | None) -> Wheel:
        """Return the wheel whose program lays conda packages down: the release this envbuild has itself."""
        return self._tool(CONDA_INSTALLER, "lays conda packages down", foundation, previous)

    def installer(self, foundation: Foundation, *, previous: Wheel | None) -> Wheel:
        """Return the wheel that installs the others: the release this envbuild was tested with."""
        return self._tool(INSTALLER, "installs the others", foundation, previous)

    def tools(self) -> dict[str, str]:
        """Return the version of each program and table that had a say."""
        return self._tools | {"catalog": self.catalog.version}

    @cached_property
    def apt(self) -> Apt:
        """This machine's apt, on private roots; its version is one of the tools from then on."""
        apt = Apt(APT_LISTS.path(self.cache), environment=self.environment, progress=self.progress)
        self._tools["apt"] = apt.version()
        return apt

    @cached_property
    def apt_settings(self) -> AptSettings:
        """Mirrors and keyrings, as this machine is configured."""
        return read_settings(self.environment)

    @property
    def git(self) -> GitClient:
        """This machine's git."""
        configuration = self.index.configuration
        return GitClient(self.environment, proxy=configuration.proxy, bundle=configuration.ca_bundle)

    @property
    def store(self) -> Store:
        """Where artifacts that are read are fetched to."""
        return Store(self.cache)

    @property
    def vendor(self) -> Path | None:
        """The folder of vendored artifacts, if one is named."""
        return vendor_folder(self.environment)

    def _note(self, *distributions: str) -> None:
        for name in distributions:
            self._tools[name] = importlib.metadata.version(name)

    def _tool(
        self, name: NormalizedName, purpose: str, foundation: Foundation, previous: Wheel | None
    ) -> Wheel:
        if previous and previous.version == importlib.metadata.version(name):
            return previous
        self.progress.on_stage(f"looking up the wheel that {purpose}")
        return pin_tool(name, target_python(foundation), index=self.index, cache=self.cache)

    def _archives(
        self, request: VariantRequest, foundation: Foundation
    ) -> tuple[AptArchives, str | tuple[Deb, ...]]:
        """Return the archives a base takes packages from, and what it has installed."""
        base = foundation.base
        if base.packages:
            archives = archives_of_distribution(
                base.packages.distribution,
                platform=PLATFORMS[base.platform],
                settings=self.apt_settings,
                snapshot=request.snapshot,
            )
            return archives, foundation.debs
        if base.image is None:
            raise ValueError("a base has either an image or packages")
        # the base may be a previous lock's: read exactly what is pinned, whatever its tag names today
        pinned = f"{base.image.reference.partition('@')[0]}@{base.image.digest}"
        facts = self._image(pinned, base.platform)
        if not facts.can_install:
            raise NoSolutionError(
                f"{base.image.reference} has no dpkg, so no system packages can be laid on it",
                hint="take another base, or leave [system] empty",
            )
        return self._archives_of(facts, request, name=base.key), facts.dpkg_status

    def _archives_of(self, facts: "ImageBaseFacts", request: VariantRequest, *, name: str) -> AptArchives:
        return archives_of_image(
            name,
            facts.apt_sources,
            facts.apt_keyrings,
            platform=PLATFORMS[facts.base.platform],
            settings=self.apt_settings,
            snapshot=request.snapshot,
        )

    def _interpreter(self, facts: "ImageBaseFacts", request: VariantRequest) -> Interpreter:
        """Return the Python of an image, or for it: the distribution's where it is the wanted one."""
        from envbuild.resolve.base.python import distribution_brings, packaged_interpreter, standalone_python

        python = request.python
        if facts.interpreter:
            return facts.interpreter
        if distribution_brings(python, facts):
            self.progress.on_stage(f"Python {python} of {facts.base.os.pretty_name}")
            archives = self._archives_of(facts, request, name=facts.base.key)
            debs = resolve_system(self.apt, archives, (f"python{python}",), installed=facts.dpkg_status)
            return packaged_interpreter(python, debs)
        self.progress.on_stage(f"standalone Python {python}")
        self._note("pbs-installer")
        return standalone_python(
            python,
            PLATFORMS[facts.base.platform],
            image=str(request.base.image),
            snapshot=request.snapshot,
            store=self.store,
            vendor=self.vendor,
        )

    def _image(
        self, reference: str, platform: PlatformName, python: str | None = None, *, needs_python: bool = True
    ) -> "ImageBaseFacts":
        from envbuild.remote.registry.client import RegistryClient
        from envbuild.resolve.base.image import read_image_base

        key = (reference, platform, python, needs_python)
        if key not in self._images:
            self.progress.on_stage(f"reading {reference}")
            self._images[key] = read_image_base(
                reference,
                PLATFORMS[platform],
                python,
                registry=RegistryClient(environment=self.environment),
                cache=self.cache,
                needs_python=needs_python,
                progress=self.progress,
            )
        return self._images[key]


@contextlib.contextmanager
def open_resolvers(
    upgrade: Upgrade,
    progress: Progress,
    *,
    environment: Mapping[str, str] = os.environ,
    sandbox: Sandbox | None = None,
    built_elsewhere: FindBuilt = nowhere,
) -> Iterator[LiveResolvers]:
    """Yield the resolvers of one run; without a ``sandbox`` nothing can be built from source."""
    cache = cache_folder(environment)
    # what is fetched to be read stays until it is read
    with Store(cache).use(), contextlib.closing(PythonIndex.of_this_machine(environment)) as index:
        yield LiveResolvers(
            cache=cache,
            index=index,
            environment=dict(environment),
            catalog=catalog_in_force(environment),
            upgrade=upgrade,
            progress=progress,
            sandbox=sandbox or NoSandbox(),
            built_elsewhere=built_elsewhere,
        )
