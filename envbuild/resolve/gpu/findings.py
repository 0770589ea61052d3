"""What is wrong, or doubtful, with the CUDA of an environment: said when it is locked.  Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from packaging.requirements import InvalidRequirement, Requirement

from envbuild.catalog.cuda import driver_for, newest_cuda
from envbuild.catalog.frameworks import builds_of
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.catalog.versions import minor_of, version_key
from envbuild.errors import NoSolutionError, Problem
from envbuild.resolve.gpu.derive import TOOLKIT, Derivation, GpuPackage, build_of
from envbuild.spec.request import GpuRequest

LEADER: Final = "torch"
COMPANIONS: Final = ("torchaudio", "torchvision")
"""Distributions with compiled code that is loaded into torch's process and must be of torch's CUDA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFinding:
    """One thing a person should know before this is built."""

    severity: Literal["error", "warning"]
    message: str
    hint: str | None = None


def find(
    packages: Sequence[GpuPackage], derived: Derivation, asked: GpuRequest, *, catalog: Catalog = BUILT_IN
) -> tuple[GpuFinding, ...]:
    """Return what does not fit together, errors first."""
    found = [
        *_builds_for_cpus(packages),
        *_another_vendor(packages, derived, asked),
        *_companions(packages, derived, catalog),
        *_another_version(packages, derived, asked, catalog),
        *_several_majors(derived),
        *_toolkit_of_another_version(packages, derived),
        *_newer_than_known(derived, catalog),
        *_framework_newer_than_known(derived),
    ]
    if derived.vendor is None and not any(finding.severity == "error" for finding in found):
        found.extend(_nothing_at_all(asked))
    return tuple(sorted(found, key=lambda finding: finding.severity))


def refuse(
    packages: Sequence[GpuPackage], derived: Derivation, asked: GpuRequest, *, catalog: Catalog = BUILT_IN
) -> tuple[GpuFinding, ...]:
    """Return the warnings of :func:`find`.

    :raises NoSolutionError: there are errors; all of them at once.
    """
    found = find(packages, derived, asked, catalog=catalog)
    errors = tuple(finding for finding in found if finding.severity == "error")
    if errors:
        raise NoSolutionError(
            "what was resolved does not fit [gpu]",
            problems=tuple(Problem("", finding.message, finding.hint) for finding in errors),
        )
    return found


def _builds_for_cpus(packages: Sequence[GpuPackage]) -> Iterator[GpuFinding]:
    for package in packages:
        if build_of(package) == "cpu":
            yield GpuFinding(
                severity="error",
                message=f"{package} is a build without CUDA",
                hint=f"bind `{package.name}` to an index of CUDA builds in [pip] sources, "
                "or switch [gpu] off in this variant",
            )


def _another_vendor(
    packages: Sequence[GpuPackage], derived: Derivation, asked: GpuRequest
) -> Iterator[GpuFinding]:
    if derived.vendor == "nvidia" and asked.vendor == "amd":
        witness = derived.evidence[0] if derived.evidence else "it has libraries of CUDA"
        yield GpuFinding(
            severity="error",
            message=f"[gpu] says vendor amd, but {witness}",
            hint="bind the framework to an index of ROCm builds in [pip] sources",
        )
    if asked.vendor == "nvidia":
        for package in packages:
            if (build_of(package) or "").startswith("rocm"):
                yield GpuFinding(
                    severity="error",
                    message=f"{package} is a build for AMD's GPUs",
                    hint='write vendor = "amd" in [gpu], or take a CUDA build',
                )


def _companions(
    packages: Sequence[GpuPackage], derived: Derivation, catalog: Catalog
) -> Iterator[GpuFinding]:
    by_name = {package.name: package for package in packages}
    leader = by_name.get(LEADER)
    if leader is None:
        return
    # where there are several CUDAs, the one derived is the highest and may be another package's
    own = derived.runtime if len(derived.majors) == 1 else _default_build(leader, leader, catalog)
    of_leader = build_of(leader) or own
    for name in COMPANIONS:
        companion = by_name.get(name)
        if companion is None:
            continue
        built = build_of(companion) or _default_build(companion, leader, catalog)
        if built and of_leader and built != of_leader and "cpu" not in {built, of_leader}:
            yield GpuFinding(
                severity="error",
                message=f"{companion} is built for {_named(built)}, {leader} for {_named(of_leader)}",
                hint=f"bind `{name}` and `{LEADER}` to the same index in [pip] sources",
            )


def _default_build(companion: GpuPackage, leader: GpuPackage, catalog: Catalog) -> str | None:
    """Return the CUDA of the main index's build of torch or a companion: that of the torch it goes with."""
    version = _version_of_leader(companion) or (
        # torchaudio's version is torch's
        companion.version if companion.name == "torchaudio" else leader.version
    )
    wanted = version_key(re.split(r"[^0-9.]", version)[0].strip(".") or "0")
    rows = [build for build in builds_of(LEADER, catalog) if build.build == "default"]
    fitting = [build for build in rows if version_key(build.since) <= wanted[: len(version_key(build.since))]]
    if not fitting or wanted[:2] > version_key(fitting[-1].last):
        return None
    return fitting[-1].cuda


def _version_of_leader(companion: GpuPackage) -> str | None:
    for line in companion.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.name == LEADER:
            pinned = [part.version for part in requirement.specifier if part.operator == "=="]
            return pinned[0] if pinned else None
    return None


def _another_version(
    packages: Sequence[GpuPackage], derived: Derivation, asked: GpuRequest, catalog: Catalog
) -> Iterator[GpuFinding]:
    if asked.vendor != "nvidia" or asked.cuda == "auto" or derived.runtime in {None, asked.cuda}:
        return
    witness = derived.evidence[0] if derived.evidence else f"the wheels are for CUDA {derived.runtime}"
    yield GpuFinding(
        severity="error",
        message=f"[gpu] asks for CUDA {asked.cuda}, but nothing that was resolved is for it: {witness}",
        hint=_who_offers(packages, asked.cuda, catalog) or 'leave it to cuda = "auto"',
    )


def _who_offers(packages: Sequence[GpuPackage], cuda: str, catalog: Catalog) -> str | None:
    """Return which versions of the frameworks that are there have builds for ``cuda``."""
    offers = []
    for package in packages:
        for build in builds_of(package.name, catalog):
            if build.cuda != cuda:
                continue
            span = (
                f"{build.since} up to, not with, {build.until}"
                if build.until
                else f"{build.since} to {build.last}"
            )
            where = (
                "of the main index" if build.build == "default" else f"with +{build.build} of its own index"
            )
            offers.append(f"{build.framework} {span} {where}")
    return f"CUDA {cuda} is that of {'; '.join(offers)}" if offers else None


def _several_majors(derived: Derivation) -> Iterator[GpuFinding]:
    if len(derived.majors) > 1:
        each = " and ".join(str(major) for major in derived.majors)
        yield GpuFinding(
            severity="warning",
            message=f"there are libraries of CUDA {each} in one environment; the driver must run the highest",
            hint="give each framework a variant of its own; `envbuild explain gpu` says which is whose",
        )


def _toolkit_of_another_version(packages: Sequence[GpuPackage], derived: Derivation) -> Iterator[GpuFinding]:
    for package in packages:
        if package.name == TOOLKIT and derived.runtime and minor_of(package.version) != derived.runtime:
            yield GpuFinding(
                severity="warning",
                message=f"{package} lists parts of another CUDA than the runtime library, {derived.runtime}",
            )


def _newer_than_known(derived: Derivation, catalog: Catalog) -> Iterator[GpuFinding]:
    if derived.vendor != "nvidia" or derived.runtime is None:
        return
    drivers = driver_for(derived.runtime, catalog)
    if drivers is None or not drivers.is_known:
        yield GpuFinding(
            severity="warning",
            message=f"CUDA {derived.runtime} is not in the catalogue, which ends at {newest_cuda(catalog)}: "
            "its driver is unknown",
            hint="update the catalogue with `envbuild catalog update`",
        )


def _framework_newer_than_known(derived: Derivation) -> Iterator[GpuFinding]:
    for need in derived.needs:
        if not need.wants.is_known:
            cudnn = f" and cuDNN {need.wants.cudnn}" if need.wants.cudnn else ""
            yield GpuFinding(
                severity="warning",
                message=f"{need.package} is newer than the catalogue: it is taken to look for CUDA "
                f"{need.wants.cuda}{cudnn} in the system, as the newest known version does",
                hint="update the catalogue with `envbuild catalog update`, or name CUDA and image in [gpu]",
            )


def _nothing_at_all(asked: GpuRequest) -> Iterator[GpuFinding]:
    if asked.vendor == "amd":
        yield GpuFinding(
            severity="error",
            message="nothing that was resolved is built for ROCm",
            hint="bind the framework to an index of ROCm builds in [pip] sources",
        )
    elif asked.cuda == "auto":
        yield GpuFinding(
            severity="error",
            message="nothing that was resolved uses CUDA, so there is no version to derive",
            hint='leave [gpu] out, or name a version: cuda = "12.6"',
        )


def _named(build: str) -> str:
    return f"ROCm {build.removeprefix('rocm')}" if build.startswith("rocm") else f"CUDA {build}"
