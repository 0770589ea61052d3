"""Resolvers that need no world: they answer from the locks made by hand."""

from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Deb, Wheel
from envbuild.platforms import PlatformName
from envbuild.resolve.conda.resolution import CondaResolution
from envbuild.resolve.gpu.architectures import WheelArchitectures
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.resolvers import Foundation, Resolvers
from envbuild.spec.request import VariantRequest
from tests.rig.locks import BASE_DEBS, GIT, INSTALLER, RATTLER, WHEELS, conda_lock, packages_base, sample_lock

FOUNDATION = Foundation(
    base=packages_base(), interpreter=sample_lock().targets[0].interpreter, debs=BASE_DEBS
)

ENVIRONMENT = tuple(wheel for wheel in WHEELS if wheel is not INSTALLER)


class FakeResolvers:
    """Answers from the sample locks and remembers what it was asked."""

    def __init__(self, wheels: tuple[Wheel, ...] = ENVIRONMENT) -> None:
        self.asked: list[str] = []
        self.wheels = wheels

    def expect_lists(self, request: VariantRequest, platform: PlatformName) -> None:
        pass

    def expect_python(
        self, request: VariantRequest, platform: PlatformName, *, previous: PythonResolution
    ) -> None:
        pass

    def foundation(
        self, request: VariantRequest, platform: PlatformName, *, previous: Foundation | None
    ) -> Foundation:
        self.asked.append("foundation")
        return FOUNDATION

    def system(
        self, request: VariantRequest, foundation: Foundation, *, previous: tuple[Deb, ...]
    ) -> tuple[Deb, ...]:
        self.asked.append("system")
        return (GIT,)

    def python(
        self, request: VariantRequest, foundation: Foundation, *, previous: PythonResolution
    ) -> PythonResolution:
        self.asked.append("python")
        return PythonResolution(wheels=self.wheels)

    def architectures(self, request: VariantRequest, wheels: tuple[Wheel, ...]) -> WheelArchitectures:
        self.asked.append("architectures")
        return WheelArchitectures()

    def conda(
        self, request: VariantRequest, foundation: Foundation, *, previous: tuple[CondaPackage, ...]
    ) -> CondaResolution:
        self.asked.append("conda")
        lock = conda_lock()
        return CondaResolution(packages=lock.conda, interpreter=lock.targets[0].interpreter)

    def conda_installer(self, foundation: Foundation, *, previous: Wheel | None) -> Wheel:
        return previous or RATTLER

    def installer(self, foundation: Foundation, *, previous: Wheel | None) -> Wheel:
        return previous or INSTALLER

    def tools(self) -> dict[str, str]:
        return {"uv": "0.9.0", "apt": "2.6.1"}


_: type[Resolvers] = FakeResolvers
