"""From a request to a lock: each target's base, system packages and Python, in that order.

What need not change does not: a part whose request and foundation are those of the previous lock is taken
over without asking anyone.  The world is reached through the :class:`Resolvers` alone.
"""

from dataclasses import dataclass, field

from envbuild.catalog.bases import default_image
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.lock.conda import CondaPackage
from envbuild.lock.gpu import TargetGpu
from envbuild.lock.model import CondaInstaller, Deb, Lock, Target, Wheel
from envbuild.platforms import PlatformName
from envbuild.progress import Progress
from envbuild.resolve.compose import choose_user, compose_env
from envbuild.resolve.conda.resolution import CondaResolution
from envbuild.resolve.gathering import Gathered
from envbuild.resolve.gpu.architectures import wheels_to_read
from envbuild.resolve.gpu.assess import Ground, gpu_facts, refuse_unknown_gpus
from envbuild.resolve.gpu.match_base import match
from envbuild.resolve.resolvers import Foundation, Resolvers, Upgrade
from envbuild.spec.request import BaseRequest, Request, VariantRequest


@dataclass(frozen=True, slots=True)
class _Before:
    """One target of the previous lock, with what was asked for it."""

    lock: Lock
    target: Target
    request: VariantRequest

    @property
    def foundation(self) -> Foundation:
        base = self.lock.base(self.target)
        installer = self.target.conda_installer
        interpreter = installer.interpreter if installer else self.target.interpreter
        return Foundation(base=base, interpreter=interpreter, debs=self.lock.base_debs_of(base))

    @property
    def conda(self) -> CondaResolution | None:
        packages = self.lock.conda_of(self.target)
        return CondaResolution(packages=packages, interpreter=self.target.interpreter) if packages else None

    @property
    def provided(self) -> tuple[str, ...]:
        conda = self.conda
        return self.foundation.under(conda).provided if conda else ()

    @property
    def conda_installer(self) -> Wheel | None:
        installer = self.target.conda_installer
        return next(
            (wheel for wheel in self.lock.wheels if installer and wheel.file == installer.wheel), None
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """One resolution: decides for each part whether the previous lock still answers."""

    resolvers: Resolvers
    upgrade: Upgrade
    progress: Progress
    catalog: Catalog

    def foundation(self, asked: VariantRequest, platform: PlatformName, before: _Before | None) -> Foundation:
        """Return the base of a target."""
        previous = before.foundation if before else None
        if before and previous and _same_base(asked, before.request):
            names = {deb.name for deb in previous.debs}
            if not self.upgrade.touches(names):
                return previous
        return self.resolvers.foundation(
            asked, platform, previous=previous, upgrade=self.upgrade, progress=self.progress
        )

    def system(
        self, asked: VariantRequest, foundation: Foundation, before: _Before | None
    ) -> tuple[Deb, ...]:
        """Return the system packages of a target."""
        locked = before.lock.system_debs_of(before.target) if before else ()
        if (
            before
            and foundation == before.foundation
            and _same(asked, before.request, "system", "snapshot")
            and not self.upgrade.touches(deb.name for deb in locked)
        ):
            return locked
        if not asked.system.packages and not foundation.python_packages:
            return ()
        return self.resolvers.system(
            asked, foundation, previous=locked, upgrade=self.upgrade, progress=self.progress
        )

    def conda(
        self, asked: VariantRequest, foundation: Foundation, before: _Before | None
    ) -> CondaResolution | None:
        """Return the conda packages of a target, or None when it has none."""
        if asked.conda is None:
            return None
        locked = before.conda if before else None
        if (
            before
            and locked
            and _same(asked, before.request, "conda", "gpu", "snapshot")
            and foundation.base.libc == before.foundation.base.libc
            and not self.upgrade.touches(package.name for package in locked.packages)
        ):
            return locked
        return self.resolvers.conda(
            asked,
            foundation,
            previous=locked.packages if locked else (),
            upgrade=self.upgrade,
            progress=self.progress,
        )

    def python(
        self, asked: VariantRequest, foundation: Foundation, before: _Before | None
    ) -> tuple[Wheel, ...]:
        """Return the wheels of a target."""
        locked = before.lock.wheels_of(before.target) if before else ()
        if (
            before
            and _same(asked, before.request, "pip", "snapshot")
            and foundation.base.libc == before.foundation.base.libc
            and foundation.interpreter.version == before.target.interpreter.version
            and foundation.provided == before.provided
            and not self.upgrade.touches(wheel.name for wheel in locked)
        ):
            return locked
        if not asked.pip.requirements:
            return ()
        return self.resolvers.python(
            asked, foundation, previous=locked, upgrade=self.upgrade, progress=self.progress
        )

    def gpu(
        self,
        asked: VariantRequest,
        foundation: Foundation,
        wheels: tuple[Wheel, ...],
        before: _Before | None,
        *,
        conda: tuple[CondaPackage, ...] = (),
    ) -> TargetGpu | None:
        """Return the CUDA or ROCm of a target; None: it computes on CPUs."""
        if asked.gpu is None:
            return None
        known = None
        if before and before.target.gpu and before.request.gpu and before.request.gpu.targets:
            locked = before.lock.wheels_of(before.target)
            if wheels_to_read(locked) == wheels_to_read(wheels):
                known = before.target.gpu.architectures
        return gpu_facts(
            asked,
            asked.gpu,
            Ground(
                base=foundation.base,
                python=".".join(foundation.interpreter.version.split(".")[:2]),
                wheels=wheels,
                conda=conda,
            ),
            read=lambda wanted: self.resolvers.architectures(asked, wanted, progress=self.progress),
            known=known,
            catalog=self.catalog,
            progress=self.progress,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one target comes to stand."""

    run: _Run
    variant: str
    platform: PlatformName
    before: _Before | None
    foundations: dict[tuple[str, PlatformName], Foundation]
    """Those of all targets so far, by what was asked."""

    packages: dict[str, CondaResolution | None] = field(default_factory=dict)
    """Those of this target by its base."""

    def foundation(self, asked: VariantRequest) -> Foundation:
        """Return the base of a request that names one."""
        key = asked.model_dump_json(include={"base", "python", "snapshot"})
        shared = (f"{key} {asked.gpu is not None} {asked.conda is not None}", self.platform)
        if shared not in self.foundations:
            self.run.progress.on_stage(f"base of {self.variant} on {self.platform}")
            self.foundations[shared] = self.run.foundation(asked, self.platform, self.before)
        return self.foundations[shared]

    def settle(self, asked: VariantRequest) -> tuple[VariantRequest, tuple[Wheel, ...]]:
        """Return the request with its base named, matched to the GPU if need be, and the wheels on it."""
        if asked.conda and asked.base == BaseRequest():
            # conda packages bring the CUDA they need: the base has none
            asked = asked.model_copy(update={"base": BaseRequest(image=default_image(asked.python))})
        if asked.gpu is None or asked.base != BaseRequest():
            return asked, self._wheels(asked)
        stands = None
        if self.before and not self.run.upgrade.everything:
            stands = self.before.request.base
        matched = match(asked, asked.gpu, self._wheels, start=stands, catalog=self.run.catalog)
        return matched.asked, matched.wheels

    def conda(self, asked: VariantRequest) -> CondaResolution | None:
        """Return the conda packages of a request, or None when it has none."""
        key = asked.base.model_dump_json()
        if key not in self.packages:
            self.packages[key] = self.run.conda(asked, self.foundation(asked), self.before)
        return self.packages[key]

    def ground(self, asked: VariantRequest) -> Foundation:
        """Return what the wheels of a request are installed on: the base, or conda's Python on it."""
        foundation, conda = self.foundation(asked), self.conda(asked)
        return foundation.under(conda) if conda else foundation

    def _wheels(self, asked: VariantRequest) -> tuple[Wheel, ...]:
        return self.run.python(asked, self.ground(asked), self.before)


def lock_environment(
    request: Request,
    *,
    previous: Lock | None,
    resolvers: Resolvers,
    upgrade: Upgrade,
    progress: Progress,
    catalog: Catalog = BUILT_IN,
) -> Lock:
    """Resolve ``request`` to exact files, keeping what of ``previous`` need not change.

    :raises NoSolutionError: nothing satisfies the request.
    :raises SpecError: the request contradicts what its base turned out to be.
    """
    refuse_unknown_gpus(request, catalog=catalog)
    gathered = Gathered()
    run = _Run(resolvers, upgrade, progress, catalog)
    foundations: dict[tuple[str, PlatformName], Foundation] = {}
    installer = _previous_installer(previous)
    targets = []
    for variant, platform in request.targets():
        before = _before(previous, variant, platform)
        place = _Place(run, variant, platform, before, foundations)
        asked, wheels = place.settle(request.variants[variant])
        foundation = place.foundation(asked)
        conda = place.conda(asked)
        ground = place.ground(asked)
        debs = run.system(asked, foundation, before)
        gpu = run.gpu(asked, ground, wheels, before, conda=conda.packages if conda else ())
        installer = resolvers.installer(foundation, previous=installer, progress=progress)
        (installer_file,) = gathered.take_wheels([installer])
        base = foundation.base
        gathered.take_debs(foundation.debs)
        targets.append(
            Target(
                variant=variant,
                platform=platform,
                base=gathered.take_base(base, variant),
                interpreter=ground.interpreter,
                installer=installer_file,
                debs=gathered.take_debs(debs),
                wheels=gathered.take_wheels(wheels),
                conda=gathered.take_conda(conda.packages if conda else ()),
                conda_installer=_conda_installer(run, foundation, before, gathered) if conda else None,
                env=compose_env(asked, base, gpu, conda=conda.packages if conda else ()),
                gpu=gpu,
                user=choose_user(asked.image.user, base),
                workdir=asked.image.workdir,
                command=asked.image.command,
            )
        )
    tools = resolvers.tools()
    if previous is not None:
        tools = previous.tools | tools
    return Lock(
        tools=dict(sorted(tools.items())),
        request=request,
        targets=tuple(targets),
        bases=tuple(gathered.bases[key] for key in sorted(gathered.bases)),
        debs=tuple(gathered.debs[key] for key in sorted(gathered.debs)),
        wheels=tuple(gathered.wheels[key] for key in sorted(gathered.wheels)),
        conda=tuple(gathered.conda[key] for key in sorted(gathered.conda)),
    )


def _conda_installer(
    run: _Run, foundation: Foundation, before: _Before | None, gathered: Gathered
) -> CondaInstaller:
    wheel = run.resolvers.conda_installer(
        foundation, previous=before.conda_installer if before else None, progress=run.progress
    )
    (file,) = gathered.take_wheels([wheel])
    return CondaInstaller(wheel=file, interpreter=foundation.interpreter)


def _same_base(asked: VariantRequest, before: VariantRequest) -> bool:
    """Return whether the same base is asked for; with conda packages any Python of it will do."""
    if (asked.conda is None) != (before.conda is None):
        return False
    fields = ("base", "snapshot") if asked.conda else ("base", "python", "snapshot")
    return _same(asked, before, *fields)


def _same(asked: VariantRequest, before: VariantRequest, *fields: str) -> bool:
    return all(getattr(asked, name) == getattr(before, name) for name in fields)


def _before(previous: Lock | None, variant: str, platform: PlatformName) -> _Before | None:
    if previous is None:
        return None
    for target in previous.targets:
        if (target.variant, target.platform) == (variant, platform):
            request = previous.request.variants[variant]
            image = previous.base(target).image
            if request.base == BaseRequest() and image:
                # matched then: to be compared with what is matched now
                request = request.model_copy(update={"base": BaseRequest(image=image.reference)})
            return _Before(previous, target, request)
    return None


def _previous_installer(previous: Lock | None) -> Wheel | None:
    return previous.installer_of(previous.targets[0]) if previous and previous.targets else None
