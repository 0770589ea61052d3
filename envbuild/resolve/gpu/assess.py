"""CUDA or ROCm of one target when it is locked: derived, read, compared with the fleet, and said out loud."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from envbuild.catalog.gpus import find_gpu
from envbuild.catalog.rocm import find_amd_gpu
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.catalog.versions import minor_of
from envbuild.errors import NoSolutionError, Problem, SpecError
from envbuild.lock.conda import CondaPackage
from envbuild.lock.gpu import GpuArchitectures, TargetGpu
from envbuild.lock.model import Base, Wheel
from envbuild.progress import Progress
from envbuild.resolve.gpu.advice import FleetQuestion, fleet_advice
from envbuild.resolve.gpu.architectures import WheelArchitectures, wheels_to_read
from envbuild.resolve.gpu.choose_base import choose_base, flavour_of_base, lacking, newest_libc_of
from envbuild.resolve.gpu.conda import with_conda
from envbuild.resolve.gpu.derive import Derivation, GpuPackage, derive
from envbuild.resolve.gpu.facts import compose_facts, cuda_of_base, cudnn_of_base
from envbuild.resolve.gpu.findings import refuse
from envbuild.resolve.gpu.match_base import packages_of
from envbuild.spec.request import BaseRequest, GpuRequest, Request, VariantRequest

ReadArchitectures = Callable[[tuple[Wheel, ...]], WheelArchitectures]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuInputs:
    """What the CUDA of a target follows from."""

    base: Base
    python: str
    """``major.minor`` of the interpreter."""

    wheels: tuple[Wheel, ...]
    conda: tuple[CondaPackage, ...] = ()


def refuse_unknown_gpus(request: Request, *, catalog: Catalog = BUILT_IN) -> None:
    """Check the names of all fleets, before anything is resolved for them.

    :raises SpecError: some name no GPU, or several of different capability; all of them at once.
    """
    problems: dict[Problem, None] = {}
    for variant in request.variants.values():
        if variant.gpu is None:
            continue
        find = find_amd_gpu if variant.gpu.vendor == "amd" else find_gpu
        for target in variant.gpu.targets:
            try:
                find(target, catalog)
            except SpecError as error:
                problems[Problem("gpu.targets", error.message, error.hint)] = None
    if problems:
        raise SpecError.of(problems)


def gpu_facts(
    request: VariantRequest,
    gpu: GpuRequest,
    inputs: GpuInputs,
    *,
    read: ReadArchitectures,
    known: tuple[GpuArchitectures, ...] | None,
    progress: Progress,
    catalog: Catalog = BUILT_IN,
) -> TargetGpu:
    """Return what the lock says of a target's CUDA.

    ``known`` are the architectures of the same wheels in the previous lock, which need not be read again.

    :raises NoSolutionError: what was resolved does not fit the GPU, its base or its fleet.
    :raises SpecError: a target of the fleet names no GPU.
    """
    packages = packages_of(inputs.wheels)
    site = f"lib/python{inputs.python}/site-packages"
    derived = with_conda(derive(packages, site=site, catalog=catalog), inputs.conda)
    for finding in refuse(packages, derived, gpu, catalog=catalog):
        progress.on_note(f"{finding.message}{f' ({finding.hint})' if finding.hint else ''}")
    flavour = flavour_of_base(inputs.base)
    problems = lacking(
        flavour, derived, cuda=cuda_of_base(inputs.base.env), cudnn=cudnn_of_base(inputs.base.env)
    )
    if problems:
        raise NoSolutionError(
            "the base does not have what the wheels look for",
            problems=problems,
            hint="leave [base] out and the one that matches is chosen",
        )
    for warning in _warnings_of_base(request, gpu, derived, inputs, catalog):
        progress.on_note(warning)
    facts = compose_facts(
        derived,
        gpu,
        flavour=flavour,
        base_environment=inputs.base.env,
        architectures=_architectures(gpu, inputs.wheels, read=read, known=known, progress=progress),
        catalog=catalog,
    )
    if gpu.vendor != "nvidia" or not gpu.targets:
        return facts
    return _with_fleet(facts, gpu, packages, inputs.base, catalog)


def _architectures(
    gpu: GpuRequest,
    wheels: tuple[Wheel, ...],
    *,
    read: ReadArchitectures,
    known: tuple[GpuArchitectures, ...] | None,
    progress: Progress,
) -> tuple[GpuArchitectures, ...]:
    if not gpu.targets or gpu.vendor != "nvidia":
        return ()
    if known is not None:
        return known
    reading = read(wheels_to_read(wheels))
    for library in reading.unread:
        progress.on_note(f"GPU architectures of a library could not be read: {library}")
    return reading.architectures


def _with_fleet(
    facts: TargetGpu, gpu: GpuRequest, packages: Iterable[GpuPackage], base: Base, catalog: Catalog
) -> TargetGpu:
    of_base = cuda_of_base(base.env)
    question = FleetQuestion(
        targets=gpu.targets,
        driver=gpu.driver,
        cuda=facts.toolkit or facts.runtime or (str(max(facts.majors)) if facts.majors else None),
        architectures=facts.architectures,
        packages={package.name: package.version for package in packages},
        compat=minor_of(of_base) if of_base else None,
    )
    verdicts = question.verdicts(catalog)
    failing = tuple(verdict for verdict in verdicts if not verdict.ok)
    if failing:
        raise NoSolutionError(
            "the environment does not run on the whole fleet",
            problems=tuple(
                Problem(
                    f"{verdict.target} with driver {verdict.driver}" if verdict.driver else verdict.target,
                    verdict.reason,
                )
                for verdict in failing
            ),
            hint="; or ".join(fleet_advice(question, catalog=catalog)) or None,
        )
    return facts.model_copy(update={"fleet": verdicts})


def _warnings_of_base(
    request: VariantRequest, gpu: GpuRequest, derived: Derivation, inputs: GpuInputs, catalog: Catalog
) -> Iterator[str]:
    if request.base == BaseRequest() and flavour_of_base(inputs.base) != "slim":
        libc = newest_libc_of(wheel.file for wheel in inputs.wheels)
        yield from choose_base(derived, gpu, python=request.python, libc=libc, catalog=catalog).warnings
