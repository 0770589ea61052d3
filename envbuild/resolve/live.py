"""The resolvers of a lock, joined to this machine: its apt, its indexes, its registry credentials."""

import contextlib
import importlib.metadata
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName

from envbuild.cache.folders import ANSWERS, APT_LISTS, APT_PROGRAMS
from envbuild.cache.location import cache_folder, vendor_folder
from envbuild.catalog.active import catalog_in_force
from envbuild.catalog.bases import DISTRIBUTIONS
from envbuild.catalog.distributions import distributions
from envbuild.catalog.tables import Catalog
from envbuild.errors import EnvbuildError, NoSolutionError
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Base, Deb, Interpreter, Wheel
from envbuild.parallel import DaemonPool
from envbuild.platforms import PLATFORMS, PlatformName
from envbuild.process import ending_programs
from envbuild.progress import Progress, SharedDisplay
from envbuild.remote.apt import AptSettings, read_settings
from envbuild.remote.git.client import GitClient
from envbuild.remote.index.client import PythonIndex
from envbuild.resolve.apt.archives import AptArchives, archives_of_distribution, archives_of_image
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.resolvers import Foundation
from envbuild.resolve.sources.sandbox import NoSandbox, Sandbox
from envbuild.resolve.sources.wheel_content import FindBuilt, nowhere
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.request import VariantRequest
from envbuild.store.store import Store

if TYPE_CHECKING:
    from envbuild.resolve.apt.container import AptContainers
    from envbuild.resolve.apt.unpacked import AptTrees
    from envbuild.resolve.base.image import ImageBaseFacts
    from envbuild.resolve.conda.resolution import CondaResolution
    from envbuild.resolve.conda.resolve import CondaResolver
    from envbuild.resolve.expected import ExpectedPythons
    from envbuild.resolve.gpu.architectures import WheelArchitectures
    from envbuild.resolve.python.resolution import PythonResolution
    from envbuild.resolve.python.started import StartedResolution
    from envbuild.resolve.sources.builder import ResolvedBuilder


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

    apt_containers: "AptContainers | None" = None
    """Where apt can be run if this machine cannot run it."""

    threads: DaemonPool = field(default_factory=DaemonPool)
    """Where work goes on that was begun before it is asked for."""

    _started: "list[StartedResolution]" = field(default_factory=list)
    _guard: RLock = field(default_factory=RLock)
    _tools: dict[str, str] = field(default_factory=dict)
    _apt: Apt | None = None
    _images: "dict[tuple[object, ...], ImageBaseFacts]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let apt report beside the rest: both can be at work at once."""
        display = SharedDisplay(self.progress)
        self.progress, self._apt_progress = display.work(), display.work()

    def expect_lists(self, request: VariantRequest, platform: PlatformName) -> None:
        """Begin to update the package lists of a base made of packages."""
        name = request.base.packages
        if name is None or name not in distributions():
            return
        # whatever is wrong shows again when the base is asked for
        with contextlib.suppress(EnvbuildError):
            archives = archives_of_distribution(
                name,
                platform=PLATFORMS[platform],
                settings=self.apt_settings,
                snapshot=request.snapshot,
            )
            self.apt.begin(archives, self.threads)

    def expect_python(
        self, request: VariantRequest, platform: PlatformName, *, previous: "PythonResolution"
    ) -> None:
        """Begin to resolve for the Python that the base had last time, if there was a last time."""
        from envbuild.resolve.python.resolve import start_python
        from envbuild.resolve.python.uv import UvResolver

        target = self._expected.find(request, platform)
        if target is None or request.pip.resolver != "uv":
            return
        # whatever is wrong shows again when it is asked for
        with contextlib.suppress(EnvbuildError):
            begun = start_python(
                request,
                target,
                resolver=UvResolver(self.index.configuration, environment=self.environment),
                index=self.index,
                cache=self.cache,
                threads=self.threads,
                previous=previous.wheels,
                upgrade=self.upgrade,
            )
            self._started += [begun] if begun else []

    def foundation(
        self, request: VariantRequest, platform: PlatformName, *, previous: Foundation | None
    ) -> Foundation:
        """Return the base: from its registry, or bootstrapped from packages."""
        from envbuild.resolve.live_builds import target_python

        found = self._foundation(request, platform, previous)
        self._expected.note(request, platform, target_python(found))
        return found

    def _foundation(
        self, request: VariantRequest, platform: PlatformName, previous: Foundation | None
    ) -> Foundation:
        if request.base.packages is None:
            # images of CUDA have no Python
            needs_python = request.gpu is None
            facts = self._image(str(request.base.image), platform, request.python, needs_python=needs_python)
            return Foundation(base=facts.base, interpreter=self._interpreter(facts, request))
        from envbuild.resolve.base.packages import resolve_packages_base

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
        from envbuild.resolve.apt.system import resolve_system

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
        self, request: VariantRequest, foundation: Foundation, *, previous: "PythonResolution"
    ) -> "PythonResolution":
        """Return the wheels of the environment; what has none is built, where that is allowed."""
        from envbuild.resolve.live_builds import LiveBuilds, target_python
        from envbuild.resolve.python.pip_tools import PipToolsResolver
        from envbuild.resolve.python.resolve import resolve_python
        from envbuild.resolve.python.uv import UvResolver

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
            started=self._started,
        )

    def builder(
        self, request: VariantRequest, foundation: Foundation, *, previous: tuple[Deb, ...]
    ) -> "ResolvedBuilder":
        """Return what the wheels of an environment on ``foundation`` are built on."""
        from envbuild.resolve.apt.system import resolve_system
        from envbuild.resolve.sources.builder import ResolvedBuilder, builder_packages

        debs: tuple[Deb, ...] = ()
        packages = builder_packages(request, foundation.interpreter)
        try:
            archives, installed = self._archives(request, foundation)
        except NoSolutionError:
            # a base without dpkg can build what needs no compiler
            if request.system.packages or request.pip.build_packages:
                raise
        else:
            debs = resolve_system(
                self.apt,
                archives,
                (*packages, *foundation.python_packages),
                installed=installed,
                previous=previous,
                upgrade=self.upgrade,
            )
        return ResolvedBuilder(
            base=foundation.base,
            base_debs=foundation.debs,
            interpreter=foundation.interpreter,
            debs=debs,
            installer=self.installer(foundation, previous=None),
            request=request,
        )

    def architectures(self, request: VariantRequest, wheels: tuple[Wheel, ...]) -> "WheelArchitectures":
        """Return what GPU architectures ``wheels`` have device code for; those not yet read are fetched."""
        from envbuild.resolve.gpu.architectures import read_architectures
        from envbuild.store.fetch import fetch_all
        from envbuild.store.locators import IndexLocator
        from envbuild.store.plan import artifact_of

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
        self._note("conda-lock", "py-rattler")
        return self.conda_resolver.resolve(request, foundation.base, previous=previous)

    @property
    def conda_resolver(self) -> "CondaResolver":
        """What resolves conda packages, as this machine is configured."""
        from envbuild.remote.channels import read_channel_configuration
        from envbuild.resolve.conda.resolve import CondaResolver

        return CondaResolver(
            configuration=read_channel_configuration(self.environment),
            store=self.store,
            cache=self.cache,
            environment=self.environment,
            vendor=self.vendor,
            upgrade=self.upgrade,
            progress=self.progress,
        )

    def conda_installer(self, foundation: Foundation, *, previous: Wheel | None) -> Wheel:
        """Return the wheel whose program lays conda packages down: the release this envbuild has itself."""
        from envbuild.resolve.python.resolve import CONDA_INSTALLER

        return self._tool(CONDA_INSTALLER, "lays conda packages down", foundation, previous)

    def installer(self, foundation: Foundation, *, previous: Wheel | None) -> Wheel:
        """Return the wheel that installs the others: the release this envbuild was tested with."""
        from envbuild.resolve.python.resolve import INSTALLER

        return self._tool(INSTALLER, "installs the others", foundation, previous)

    def tools(self) -> dict[str, str]:
        """Return the version of each program and table that had a say."""
        apt = self._apt.versions() if self._apt else None
        return self._tools | ({"apt": apt} if apt else {}) | {"catalog": self.catalog.version}

    @property
    def apt(self) -> Apt:
        """apt, on private roots; its version is one of the tools from then on."""
        with self._guard:
            if self._apt is None:
                from envbuild.resolve.apt.container import apt_ways

                self._apt = Apt(
                    APT_LISTS.path(self.cache),
                    environment=self.environment,
                    answers=ANSWERS.path(self.cache),
                    progress=self._apt_progress,
                    ways=apt_ways(self.apt_trees, self.apt_containers),
                )
            return self._apt

    @property
    def apt_trees(self) -> "AptTrees":
        """Where apt itself is unpacked, for machines without it."""
        from envbuild.resolve.apt.unpacked import AptTrees

        return AptTrees(
            folder=APT_PROGRAMS.path(self.cache),
            store=self.store,
            settings=lambda: self.apt_settings,
            vendor=self.vendor,
            progress=self._apt_progress,
        )

    def close(self) -> None:
        """Let go of what was kept for the whole run."""
        if self._apt is not None:
            self._apt.close()

    @cached_property
    def apt_settings(self) -> AptSettings:
        """Mirrors and keyrings, as this machine is configured."""
        return read_settings(self.environment)

    @property
    def _expected(self) -> "ExpectedPythons":
        from envbuild.resolve.expected import ExpectedPythons

        return ExpectedPythons(ANSWERS.path(self.cache))

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
        from envbuild.resolve.live_builds import target_python
        from envbuild.resolve.python.resolve import pin_tool

        self.progress.on_stage(f"looking up the wheel that {purpose}")
        return pin_tool(name, target_python(foundation), index=self.index, cache=self.cache)

    def archives(self, request: VariantRequest, foundation: Foundation) -> AptArchives:
        """Return the archives a base takes packages from."""
        return self._archives(request, foundation)[0]

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
        facts = self._image(str(_pinned(base)), base.platform)
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
            image=_pinned(facts.base),
        )

    def _interpreter(self, facts: "ImageBaseFacts", request: VariantRequest) -> Interpreter:
        """Return the Python of an image, or for it: the distribution's where it is the wanted one."""
        from envbuild.resolve.apt.system import resolve_system
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
            environment=self.environment,
        )

    def _image(
        self, reference: str, platform: PlatformName, python: str | None = None, *, needs_python: bool = True
    ) -> "ImageBaseFacts":
        from envbuild.remote.registry.client import RegistryClient
        from envbuild.resolve.base.image import read_image_base

        key = (reference, platform, python, needs_python)
        with self._guard:
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


def _pinned(base: Base) -> str | None:
    """Return the image of a base by the digest of its platform's manifest."""
    return f"{base.image.reference.partition('@')[0]}@{base.image.digest}" if base.image else None


@contextlib.contextmanager
def open_resolvers(
    upgrade: Upgrade,
    progress: Progress,
    *,
    environment: Mapping[str, str] = os.environ,
    sandbox: Sandbox | None = None,
    built_elsewhere: FindBuilt = nowhere,
    apt_containers: "AptContainers | None" = None,
) -> Iterator[LiveResolvers]:
    """Yield the resolvers of one run; without a ``sandbox`` nothing can be built from source."""
    cache = cache_folder(environment)
    # what is fetched to be read stays until it is read
    with (
        Store(cache).use(),
        contextlib.closing(PythonIndex.of_this_machine(environment)) as index,
        contextlib.ExitStack() as at_the_end,
        DaemonPool() as threads,
        ending_programs(),
    ):
        resolvers = LiveResolvers(
            cache=cache,
            index=index,
            environment=dict(environment),
            catalog=catalog_in_force(environment),
            upgrade=upgrade,
            progress=progress,
            sandbox=sandbox or NoSandbox(),
            built_elsewhere=built_elsewhere,
            threads=threads,
            apt_containers=apt_containers,
        )
        # when no thread uses it any more
        at_the_end.callback(resolvers.close)
        yield resolvers
