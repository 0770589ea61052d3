"""Which one change would make a whole fleet run, judged by the same rules from builds the catalogue knows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from packaging.utils import canonicalize_name

from envbuild.catalog.cuda import driver_for
from envbuild.catalog.drivers import compat_package, lift_of
from envbuild.catalog.frameworks import FrameworkBuild, alternative_to, builds_of
from envbuild.catalog.gpus import find_gpu
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.catalog.versions import minor_of, version_key
from envbuild.lock.gpu import GpuArchitectures, GpuVerdict
from envbuild.resolve.gpu.fleet import fleet_verdicts

DEFAULT_BUILD: Final = "default"

_GOES_WITH: Final = {"torch": ("torchaudio", "torchvision", "torchtext")}
"""Distributions that are of the same build as a framework and change with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetQuestion:
    """An environment, and what it must run on."""

    targets: tuple[str, ...]
    driver: str | None
    """Oldest of the fleet: ``>=535``."""

    cuda: str | None
    """``major.minor`` it runs on, with the update or the major alone where that is what is known."""

    architectures: tuple[GpuArchitectures, ...]
    packages: Mapping[str, str]
    """Name → version of its distributions."""

    compat: str | None = None
    """CUDA of the cuda-compat its image brings, ``major.minor``: the image's own, whatever wheels run on."""

    def verdicts(self, catalog: Catalog) -> tuple[GpuVerdict, ...]:
        """Return the verdict on each target."""
        return fleet_verdicts(
            self.targets,
            self.driver,
            self.cuda,
            self.architectures,
            compat=self.cuda is not None and self.compat == minor_of(self.cuda),
            catalog=catalog,
        )


def fleet_advice(question: FleetQuestion, *, catalog: Catalog = BUILT_IN) -> tuple[str, ...]:
    """Return the changes each of which would do alone; else what would serve each target by itself.

    Empty when all is well, and when nothing is known to help.
    """
    failing = [verdict for verdict in question.verdicts(catalog) if not verdict.ok]
    if not failing:
        return ()
    found = [
        *(f"{change} runs on all of them" for change in _other_builds(question, catalog)),
        *(f"{change} runs on all of them" for change in _other_packages(question, catalog)),
        *_other_drivers(question, failing, catalog),
        *_other_image(question, catalog),
    ]
    return tuple(found) or tuple(_each_alone(question, failing, catalog))


def _other_builds(question: FleetQuestion, catalog: Catalog) -> Iterator[str]:
    """Yield the newest span of versions of each build that would do: that of the build at hand first."""
    for name, version in sorted(question.packages.items()):
        newest: dict[str, FrameworkBuild] = {}
        for build in builds_of(name, catalog):
            if _holds(build, version) or not _would_do(_with_build(question, build), catalog):
                continue
            newest[build.build] = build
        local = version.partition("+")[2] or DEFAULT_BUILD
        for build in sorted(newest.values(), key=lambda build: (build.build != local, build.build)):
            yield _named(build)


def _other_packages(question: FleetQuestion, catalog: Catalog) -> Iterator[str]:
    for name in sorted(question.packages):
        other = alternative_to(name, catalog)
        if other and _would_do(_with(question, name, other.cuda, ()), catalog):
            yield f"`{other.take}` in place of `{other.instead_of}` (CUDA {other.cuda})"


def _other_drivers(question: FleetQuestion, failing: Sequence[GpuVerdict], catalog: Catalog) -> Iterator[str]:
    """Yield the driver that would do, if drivers are all that is wrong."""
    wanted = driver_for(question.cuda, catalog) if question.cuda else None
    if wanted is None or any(verdict.driver_state == "too-new" for verdict in failing):
        return
    for driver in filter(None, (wanted.minimum, wanted.full)):
        if _would_do(replace(question, driver=driver), catalog):
            yield f"driver {driver} or newer on every machine is enough for CUDA {wanted.cuda}"
            return


def _other_image(question: FleetQuestion, catalog: Catalog) -> Iterator[str]:
    """Yield that an image with cuda-compat would do."""
    if question.cuda is None or question.driver is None or question.compat == minor_of(question.cuda):
        return
    driver = question.driver.removeprefix(">=")
    if lift_of(question.cuda, driver, catalog) != "lifts":
        return
    certain = all(find_gpu(target, catalog).has_forward_compatibility for target in question.targets)
    if certain and _would_do(replace(question, compat=minor_of(question.cuda)), catalog):
        yield f'image = "base" brings {compat_package(question.cuda)}, which lifts driver {driver}'


def _each_alone(question: FleetQuestion, failing: Sequence[GpuVerdict], catalog: Catalog) -> Iterator[str]:
    """Yield what would serve a failing target by itself, in a variant of its own."""
    for verdict in failing:
        alone = replace(question, targets=(verdict.target,))
        for change in (*_other_builds(alone, catalog), *_other_packages(alone, catalog)):
            yield f"{change} runs on {verdict.target}; give it a variant of its own"
            break


def _would_do(question: FleetQuestion, catalog: Catalog) -> bool:
    return all(verdict.ok for verdict in question.verdicts(catalog))


def _with_build(question: FleetQuestion, build: FrameworkBuild) -> FleetQuestion:
    code = GpuArchitectures(
        wheel=f"{build.framework}-{build.since}",
        library=build.framework,
        role="framework",
        cubins={cubin.sm: 1 for cubin in build.cubins},
        ptx={ptx.compute: 1 for ptx in build.ptx},
    )
    return _with(question, build.framework, build.cuda, (code,))


def _with(question: FleetQuestion, name: str, cuda: str, code: tuple[GpuArchitectures, ...]) -> FleetQuestion:
    """Return the question with a distribution and what goes with it replaced by one for ``cuda``."""
    replaced = {name, *_GOES_WITH.get(name, ())}
    others = [
        other
        for other in question.packages
        if other not in replaced and (builds_of(other) or alternative_to(other))
    ]
    return replace(
        question,
        # what another framework brings stays, and the driver must run the newest
        cuda=max((cuda, question.cuda or cuda), key=version_key) if others else cuda,
        architectures=(
            *(item for item in question.architectures if _name_of(item.wheel) not in replaced),
            *code,
        ),
    )


def _name_of(wheel: str) -> str:
    return canonicalize_name(wheel.partition("-")[0])


def _holds(build: FrameworkBuild, version: str) -> bool:
    """Return whether a locked version is of this build."""
    public, _, local = version.partition("+")
    if (local or DEFAULT_BUILD) != build.build:
        return False
    numbers = tuple(int(part) for part in public.split(".") if part.isdecimal())
    return version_key(build.since) <= numbers and (build.until is None or numbers < version_key(build.until))


def _named(build: FrameworkBuild) -> str:
    """Return what to ask for, in the words of a requirement."""
    major, minor, *_ = *version_key(build.last), 0
    until = build.until or f"{major}.{minor + 1}"
    where = "" if build.build == DEFAULT_BUILD else f" of build +{build.build}"
    return f"`{build.framework}>={build.since},<{until}`{where} (CUDA {build.cuda})"
