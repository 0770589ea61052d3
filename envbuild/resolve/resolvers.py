"""The edges of a resolution: the protocol of what answers its questions, and the base it works on."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Base, Deb, Interpreter, Wheel
from envbuild.platforms import PlatformName
from envbuild.progress import Progress
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.request import VariantRequest

if TYPE_CHECKING:
    from envbuild.resolve.conda.resolution import CondaResolution
    from envbuild.resolve.gpu.architectures import WheelArchitectures
    from envbuild.resolve.python.resolution import PythonResolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """A resolved base, and what resolving on top of it needs to know beyond the lock."""

    base: Base
    interpreter: Interpreter
    debs: tuple[Deb, ...] = ()
    """Packages a bootstrapped base consists of."""

    provided: tuple[str, ...] = ()
    """Python distributions that conda packages bring, ``name==version``, sorted."""

    def under(self, conda: "CondaResolution | None") -> "Foundation":
        """Return what Python packages are installed on: with conda packages on this base, conda's Python."""
        if conda is None:
            return self
        provided = {line for package in conda.packages for line in package.distributions}
        return replace(self, interpreter=conda.interpreter, provided=tuple(sorted(provided)))

    @property
    def python_packages(self) -> tuple[str, ...]:
        """Packages of the distribution that bring the interpreter, where the base has it not yet."""
        kind, _, name = self.interpreter.provider.partition(" ")
        if kind != "deb" or self.base.image is None:
            return ()
        installed = {deb.partition("=")[0] for deb in self.base.debs}
        return () if name in installed else (name.removesuffix("-minimal"),)


class Resolvers(Protocol):
    """Answers from outside: registries, archives, indexes.  What may be upgraded is known to them."""

    def expect_lists(self, request: VariantRequest, platform: PlatformName) -> None:
        """Begin with what :meth:`foundation` needs first, if it is asked what a base of packages comes to."""

    def expect_python(
        self, request: VariantRequest, platform: PlatformName, *, previous: "PythonResolution"
    ) -> None:
        """Begin to answer what :meth:`python` will most likely be asked once the base is known."""

    def foundation(
        self,
        request: VariantRequest,
        platform: PlatformName,
        *,
        previous: Foundation | None,
    ) -> Foundation:
        """Return the base: from its registry, or bootstrapped from packages."""

    def system(
        self,
        request: VariantRequest,
        foundation: Foundation,
        *,
        previous: tuple[Deb, ...],
    ) -> tuple[Deb, ...]:
        """Return the packages to lay on ``foundation``."""

    def python(
        self,
        request: VariantRequest,
        foundation: Foundation,
        *,
        previous: "PythonResolution",
    ) -> "PythonResolution":
        """Return the wheels of the environment, and what those that are built are made of."""

    def architectures(self, request: VariantRequest, wheels: tuple[Wheel, ...]) -> "WheelArchitectures":
        """Return what GPU architectures ``wheels`` have device code for."""

    def conda(
        self,
        request: VariantRequest,
        foundation: Foundation,
        *,
        previous: tuple[CondaPackage, ...],
    ) -> "CondaResolution":
        """Return the conda packages of the environment, and the Python among them."""

    def conda_installer(self, foundation: Foundation, *, previous: Wheel | None) -> Wheel:
        """Return the wheel whose program lays conda packages down during a build."""

    def installer(self, foundation: Foundation, *, previous: Wheel | None) -> Wheel:
        """Return the wheel that installs the others during a build."""

    def tools(self) -> dict[str, str]:
        """Return the version of each program and table that had a say, by name."""


OpenResolvers = Callable[[Upgrade, Progress], AbstractContextManager[Resolvers]]
"""Opens the resolvers of one lock."""
