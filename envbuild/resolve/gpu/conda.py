"""Which CUDA an environment has, read off its conda packages: names, versions and build strings.  Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from envbuild.catalog.components import cuda_of_component
from envbuild.catalog.versions import major_of, minor_of
from envbuild.lock.conda import CondaPackage
from envbuild.lock.gpu import GpuLibrary
from envbuild.resolve.gpu.derive import Derivation, Need

_BUILD = re.compile(r"(?:^|_)(?:gpu_)?(?:cuda|cu)_?([1-9][0-9])\.?([0-9])(?![0-9])")

_LIBRARIES: Final = {
    "cuda-cudart": ("cudart", "libcudart.so.{major}"),
    "libcublas": ("cublas", "libcublas.so.{major}"),
    "cudnn": ("cudnn", "libcudnn.so.{own}"),
    "nccl": ("nccl", "libnccl.so.2"),
}
"""Package → library and soname; ``{major}`` is CUDA's, ``{own}`` the package's own."""

_OLD_TOOLKIT: Final = "cudatoolkit"
"""All of CUDA up to 11 in one package, its version the toolkit's."""


def with_conda(derived: Derivation, packages: Iterable[CondaPackage]) -> Derivation:
    """Return what wheels say of CUDA together with what conda packages say."""
    ordered = sorted(packages, key=lambda package: package.name)
    stated = list(_stated(ordered))
    if not stated:
        return derived
    majors = {major_of(version) for version, _ in stated}
    highest = max({*majors, *derived.majors})
    runtime = next((version for version, _ in stated if major_of(version) == highest), derived.runtime)
    old = next((package for package in ordered if package.name == _OLD_TOOLKIT), None)
    libraries = tuple(_libraries(ordered, majors))
    return replace(
        derived,
        vendor="nvidia",
        runtime=runtime,
        toolkit=old.version if old and minor_of(old.version) == runtime else derived.toolkit,
        majors=tuple(sorted({*majors, *derived.majors})),
        evidence=(*(text for _, text in stated), *derived.evidence),
        libraries=tuple(
            sorted((*libraries, *derived.libraries), key=lambda library: (library.name, library.soname))
        ),
        needs=tuple(_left(derived.needs, libraries)),
    )


def _stated(packages: Sequence[CondaPackage]) -> Iterator[tuple[str, str]]:
    """Yield CUDA versions and who says so, the best witness first."""
    for package in packages:
        if package.name == "cuda-cudart":
            cuda = cuda_of_component(package.version)
            yield cuda, f"{_shown(package)} is the runtime library of CUDA {cuda}"
    for package in packages:
        if package.name == _OLD_TOOLKIT:
            yield minor_of(package.version), f"{_shown(package)} is CUDA {minor_of(package.version)}"
    for package in packages:
        if package.name == "cuda-version" and (_has_runtime(packages) or _has_build(packages)):
            yield package.version, f"{_shown(package)} holds all others to CUDA {package.version}"
    for package in packages:
        if match := _BUILD.search(package.build):
            cuda = f"{match[1]}.{match[2]}"
            yield cuda, f"{_shown(package)} says in its build {package.build} that it is for CUDA {cuda}"


def _has_runtime(packages: Iterable[CondaPackage]) -> bool:
    return any(package.name in {"cuda-cudart", _OLD_TOOLKIT} for package in packages)


def _has_build(packages: Iterable[CondaPackage]) -> bool:
    return any(_BUILD.search(package.build) for package in packages)


def _libraries(packages: Iterable[CondaPackage], majors: set[int]) -> Iterator[GpuLibrary]:
    major = max(majors)
    for package in packages:
        if package.name == _OLD_TOOLKIT:
            # CUDA 11 kept the minor version out of all sonames but that of its runtime (11.0)
            yield GpuLibrary(
                name="cudart",
                soname=f"libcudart.so.{major_of(package.version)}.0",
                version=package.version,
                provider=f"conda {package.name}",
                path=f"lib/libcudart.so.{major_of(package.version)}.0",
            )
        elif package.name in _LIBRARIES:
            name, pattern = _LIBRARIES[package.name]
            soname = pattern.format(major=major, own=major_of(package.version))
            yield GpuLibrary(
                name=name,
                soname=soname,
                version=package.version,
                provider=f"conda {package.name}",
                path=f"lib/{soname}",
            )


def _left(needs: Iterable[Need], libraries: Sequence[GpuLibrary]) -> Iterator[Need]:
    """Yield what wheels look for in the system and conda packages do not bring."""
    names = {library.name for library in libraries}
    for need in needs:
        left = replace(
            need,
            lacks_cuda=need.lacks_cuda and "cudart" not in names,
            lacks_cudnn=need.lacks_cudnn and "cudnn" not in names,
        )
        if left.lacks_cuda or left.lacks_cudnn:
            yield left


def _shown(package: CondaPackage) -> str:
    return f"{package.name} {package.version}"
