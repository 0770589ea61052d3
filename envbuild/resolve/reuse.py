"""What of the previous lock still stands: a part whose request and base are unchanged is taken over."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from envbuild.lock.gpu import GpuArchitectures
from envbuild.lock.model import Deb, Lock, Wheel
from envbuild.platforms import PlatformName
from envbuild.resolve.conda.resolution import CondaResolution
from envbuild.resolve.gpu.architectures import wheels_to_read
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.resolvers import Foundation
from envbuild.resolve.sources.release import locked_builds
from envbuild.resolve.upgrade import Named, Upgrade
from envbuild.runtime.names import CARRIED
from envbuild.spec.request import BaseRequest, VariantRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousTarget:
    """One target of the previous lock, and what of it may be upgraded."""

    request: VariantRequest
    """Its base is named, also where it was matched."""

    foundation: Foundation
    debs: tuple[Deb, ...]
    conda: CondaResolution | None
    conda_installer: Wheel | None
    python: PythonResolution
    """Without what envbuild carries."""

    carried: tuple[Wheel, ...] = ()
    """Wheels that envbuild carries."""

    architectures: tuple[GpuArchitectures, ...] | None
    """None where none were read."""

    upgrade: Upgrade

    @classmethod
    def of(cls, lock: Lock, variant: str, platform: PlatformName, upgrade: Upgrade) -> Self | None:
        """Return the target of ``lock`` for a variant on a platform, or None when it has no such target."""
        for target in lock.targets:
            if (target.variant, target.platform) == (variant, platform):
                break
        else:
            return None
        base, request, installer = lock.base(target), lock.request.variants[variant], target.conda_installer
        if request.base == BaseRequest() and base.image:
            request = request.model_copy(update={"base": BaseRequest(image=base.image.reference)})
        wheels = tuple(wheel for wheel in lock.wheels_of(target) if wheel.index != CARRIED)
        conda, has_fleet = lock.conda_of(target), request.gpu is not None and request.gpu.targets
        return cls(
            request=request,
            foundation=Foundation(
                base=base,
                interpreter=installer.interpreter if installer else target.interpreter,
                debs=lock.base_debs_of(base),
            ),
            debs=lock.system_debs_of(target),
            conda=CondaResolution(packages=conda, interpreter=target.interpreter) if conda else None,
            conda_installer=next((w for w in lock.wheels if installer and w.file == installer.wheel), None),
            python=PythonResolution(wheels=wheels, builds=locked_builds(lock, target)),
            carried=tuple(wheel for wheel in lock.wheels_of(target) if wheel.index == CARRIED),
            architectures=target.gpu.architectures if target.gpu and has_fleet else None,
            upgrade=upgrade,
        )

    def base_stands(self, request: VariantRequest) -> bool:
        """Return whether the base answers ``request``; with conda packages any Python of it will do."""
        fields = ("base", "snapshot") if request.conda else ("base", "python", "snapshot")
        same_kind = (request.conda is None) == (self.request.conda is None)
        return same_kind and self._stands(request, fields, self.foundation.debs)

    def system_stands(self, request: VariantRequest, foundation: Foundation) -> bool:
        """Return whether the system packages answer ``request`` on ``foundation``."""
        return foundation == self.foundation and self._stands(request, ("system", "snapshot"), self.debs)

    def conda_stands(self, request: VariantRequest, foundation: Foundation) -> bool:
        """Return whether the conda packages answer ``request`` on ``foundation``."""
        return (
            self.conda is not None
            and foundation.base.libc == self.foundation.base.libc
            and self._stands(request, ("conda", "gpu", "snapshot"), self.conda.packages)
        )

    def wheels_stand(self, request: VariantRequest, foundation: Foundation) -> bool:
        """Return whether the wheels answer ``request`` for the Python of ``foundation``."""
        before = self.foundation.under(self.conda)
        return (
            foundation.base.libc == before.base.libc
            and foundation.interpreter.version == before.interpreter.version
            and foundation.provided == before.provided
            and self._stands(request, ("pip", "snapshot"), self.python.wheels)
        )

    def architectures_of(self, wheels: tuple[Wheel, ...]) -> tuple[GpuArchitectures, ...] | None:
        """Return what was read of ``wheels``, or None where it was not, or of others."""
        return self.architectures if wheels_to_read(self.python.wheels) == wheels_to_read(wheels) else None

    def _stands(self, request: VariantRequest, fields: Iterable[str], locked: Iterable[Named]) -> bool:
        return all(
            getattr(request, name) == getattr(self.request, name) for name in fields
        ) and not self.upgrade.touches(item.name for item in locked)
