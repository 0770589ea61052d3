"""One target of a lock: its base, conda packages, wheels, system packages and CUDA, in that order."""

from dataclasses import dataclass, field

from envbuild.catalog.bases import default_image
from envbuild.catalog.tables import Catalog
from envbuild.lock.gpu import TargetGpu
from envbuild.lock.model import Deb, Wheel
from envbuild.platforms import PlatformName
from envbuild.progress import Progress
from envbuild.resolve.carried_wheels import carried_wheels
from envbuild.resolve.conda.resolution import CondaResolution
from envbuild.resolve.gpu.assess import GpuInputs, gpu_facts
from envbuild.resolve.gpu.match_base import match
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.resolvers import Foundation, Resolvers
from envbuild.resolve.reuse import PreviousTarget
from envbuild.resolve.side_by_side import side_by_side
from envbuild.spec.request import BaseRequest, VariantRequest

Foundations = dict[tuple[str, PlatformName], Foundation]
"""Bases by what was asked for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedTarget:
    """All that was resolved for one target."""

    variant: str
    platform: PlatformName
    request: VariantRequest
    """With its base named."""

    foundation: Foundation
    conda: CondaResolution | None
    conda_installer: Wheel | None
    python: PythonResolution
    carried: tuple[Wheel, ...]
    """Wheels that envbuild adds."""

    debs: tuple[Deb, ...]
    gpu: TargetGpu | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResolution:
    """The resolution of one target, which takes over what of the previous lock still stands."""

    variant: str
    platform: PlatformName
    resolvers: Resolvers
    previous: PreviousTarget | None
    foundations: Foundations
    """Those of all targets so far."""

    progress: Progress
    catalog: Catalog
    _conda: dict[BaseRequest, CondaResolution | None] = field(default_factory=dict)
    _python: dict[BaseRequest, PythonResolution] = field(default_factory=dict)

    def resolve(self, request: VariantRequest) -> ResolvedTarget:
        """Return what ``request`` comes to.

        :raises NoSolutionError: nothing satisfies it.
        :raises SpecError: it contradicts what its base turned out to be.
        """
        request = self._choose_base(request)
        foundation, conda = self._foundation(request), self._conda_of(request)
        wheels, debs = self._packages(request, foundation)
        gpu = self._gpu(request, foundation.under(conda), wheels, conda)
        return ResolvedTarget(
            variant=self.variant,
            platform=self.platform,
            request=request,
            foundation=foundation,
            conda=conda,
            conda_installer=self._conda_installer(foundation) if conda else None,
            python=self._python[request.base],
            carried=carried_wheels(request, wheels, self.previous),
            debs=debs,
            gpu=gpu,
        )

    def _choose_base(self, request: VariantRequest) -> VariantRequest:
        """Return the request with its base named, matched to the GPU if need be."""
        if request.conda and request.base == BaseRequest():
            # conda packages bring the CUDA they need: the base has none
            request = request.model_copy(update={"base": BaseRequest(image=default_image(request.python))})
        if request.gpu is None or request.base != BaseRequest():
            return request
        previous = self.previous
        start = previous.request.base if previous and not previous.upgrade.everything else None
        return match(request, request.gpu, self._wheels, start=start, catalog=self.catalog).request

    def _packages(
        self, request: VariantRequest, foundation: Foundation
    ) -> tuple[tuple[Wheel, ...], tuple[Deb, ...]]:
        """Return the wheels and the system packages, which do not depend on each other."""
        debs = self._kept_system(request, foundation)
        if debs is not None:
            return self._wheels(request), debs
        return side_by_side(
            lambda: self._wheels(request),
            lambda: self._system(request, foundation),
            progress=self.progress,
        )

    def _foundation(self, request: VariantRequest) -> Foundation:
        fields = request.model_dump_json(include={"base", "python", "snapshot"})
        key = (f"{fields} {request.gpu is not None} {request.conda is not None}", self.platform)
        if key not in self.foundations:
            self.progress.on_stage(f"base of {self.variant} on {self.platform}")
            self.foundations[key] = self._resolve_foundation(request)
        return self.foundations[key]

    def _resolve_foundation(self, request: VariantRequest) -> Foundation:
        previous = self.previous
        if previous and previous.base_stands(request):
            return previous.foundation
        if previous is None or not previous.wheels_stand(request, previous.foundation.under(previous.conda)):
            # which Python it has is only known in the end, but it can be guessed
            self.resolvers.expect_python(
                request, self.platform, previous=previous.python if previous else PythonResolution()
            )
        return self.resolvers.foundation(
            request, self.platform, previous=previous.foundation if previous else None
        )

    def _conda_of(self, request: VariantRequest) -> CondaResolution | None:
        if request.base not in self._conda:
            self._conda[request.base] = self._resolve_conda(request) if request.conda else None
        return self._conda[request.base]

    def _resolve_conda(self, request: VariantRequest) -> CondaResolution:
        foundation, previous = self._foundation(request), self.previous
        if previous and previous.conda and previous.conda_stands(request, foundation):
            return previous.conda
        locked = previous.conda.packages if previous and previous.conda else ()
        return self.resolvers.conda(request, foundation, previous=locked)

    def _conda_installer(self, foundation: Foundation) -> Wheel:
        previous = self.previous.conda_installer if self.previous else None
        return self.resolvers.conda_installer(foundation, previous=previous)

    def _wheels(self, request: VariantRequest) -> tuple[Wheel, ...]:
        if request.base not in self._python:
            self._python[request.base] = self._resolve_python(request)
        return self._python[request.base].wheels

    def _resolve_python(self, request: VariantRequest) -> PythonResolution:
        foundation, previous = self._foundation(request).under(self._conda_of(request)), self.previous
        if previous and previous.wheels_stand(request, foundation):
            return previous.python
        if not request.pip.requirements:
            return PythonResolution()
        locked = previous.python if previous else PythonResolution()
        return self.resolvers.python(request, foundation, previous=locked)

    def _kept_system(self, request: VariantRequest, foundation: Foundation) -> tuple[Deb, ...] | None:
        """Return the system packages where nobody need be asked for them, else None."""
        previous = self.previous
        if previous and previous.system_stands(request, foundation):
            return previous.debs
        return None if request.system.packages or foundation.python_packages else ()

    def _system(self, request: VariantRequest, foundation: Foundation) -> tuple[Deb, ...]:
        return self.resolvers.system(
            request, foundation, previous=self.previous.debs if self.previous else ()
        )

    def _gpu(
        self,
        request: VariantRequest,
        foundation: Foundation,
        wheels: tuple[Wheel, ...],
        conda: CondaResolution | None,
    ) -> TargetGpu | None:
        """Return the CUDA or ROCm of the target; None: it computes on CPUs."""
        if request.gpu is None:
            return None
        inputs = GpuInputs(
            base=foundation.base,
            python=".".join(foundation.interpreter.version.split(".")[:2]),
            wheels=wheels,
            conda=conda.packages if conda else (),
        )
        return gpu_facts(
            request,
            request.gpu,
            inputs,
            read=lambda wanted: self.resolvers.architectures(request, wanted),
            known=self.previous.architectures_of(wheels) if self.previous else None,
            catalog=self.catalog,
            progress=self.progress,
        )
