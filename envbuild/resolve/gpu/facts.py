"""What a lock says of CUDA: the derivation, what the base adds to it, and which drivers that takes.  Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from envbuild.catalog.cuda import driver_for
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.catalog.versions import is_version, major_of, minor_of
from envbuild.lock.gpu import Flavour, GpuArchitectures, GpuLibrary, TargetGpu
from envbuild.resolve.gpu.derive import Derivation
from envbuild.spec.request import GpuRequest

NVIDIA_ENVIRONMENT: Final[Mapping[str, str]] = {
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "NVIDIA_VISIBLE_DEVICES": "all",
}
"""What tells NVIDIA's container runtime to show the GPUs, with what CUDA and NVML need of the driver.

Source: NVIDIA Container Toolkit, "Specialized Configurations with Docker".  ``NVIDIA_REQUIRE_CUDA`` is left
out: it would refuse drivers that minor-version compatibility accepts, and only some runtimes look at it
(NVIDIA/nvidia-container-toolkit#1470).  ``envbuild verify`` compares the driver instead.
"""

_NO_REQUIREMENTS: Final[Mapping[str, str]] = {"NVIDIA_DISABLE_REQUIRE": "true"}
"""What makes NVIDIA's container runtime pass over what an image requires of the machine's driver.

It reads that from ``NVIDIA_REQUIRE_*``, and from ``CUDA_VERSION`` where there is no ``NVIDIA_REQUIRE_CUDA``
(NVIDIA Container Toolkit, "Specialized Configurations with Docker").
"""

_SYSTEM_CUDA: Final = re.compile(r"/usr/local/cuda(?:-[0-9.]+)?(?:/.*)?")
_BASE_LIBRARIES: Final = {
    "cudart": ("NV_CUDA_CUDART_VERSION", "libcudart.so.{cuda}"),
    "cudnn": ("NV_CUDNN_VERSION", "libcudnn.so.{own}"),
    "nccl": ("NCCL_VERSION", "libnccl.so.{own}"),
}
"""Variables of NVIDIA's images that name a library's version, and the name it is loaded by."""


def compose_facts(
    derived: Derivation,
    asked: GpuRequest,
    *,
    flavour: Flavour,
    base_environment: Mapping[str, str],
    architectures: tuple[GpuArchitectures, ...] = (),
    catalog: Catalog = BUILT_IN,
) -> TargetGpu:
    """Return what the lock says of one target's CUDA or ROCm, without the fleet."""
    runtime, toolkit, evidence = derived.runtime, derived.toolkit, list(derived.evidence)
    libraries = derived.libraries
    # a wheel of one part, such as NCCL, says the major alone: the base may still say the rest
    if asked.vendor == "nvidia" and (not derived.brings_cuda or runtime is None):
        of_base = cuda_of_base(base_environment)
        highest = max(derived.majors, default=None)
        if of_base and (runtime is not None or highest in {None, major_of(of_base)}):
            evidence.append(f"the base brings CUDA {of_base}")
            # who looks for CUDA in the system gets the base's, whichever minor it was made for
            if any(need.lacks_cuda for need in derived.needs) and major_of(of_base) == highest:
                runtime = minor_of(of_base)
            runtime, toolkit = runtime or minor_of(of_base), toolkit or of_base
        elif runtime is None and asked.cuda != "auto":
            evidence.append(f"[gpu] says CUDA {asked.cuda}")
            runtime = asked.cuda
    if asked.vendor == "nvidia":
        brought = {library.soname for library in libraries}
        libraries += tuple(
            library for library in _libraries_of_base(base_environment) if library.soname not in brought
        )
    majors = derived.majors or ((major_of(runtime),) if runtime and asked.vendor == "nvidia" else ())
    # which drivers run it at all is a matter of the major alone
    cuda = toolkit or runtime or (str(max(majors)) if majors else None)
    drivers = driver_for(cuda, catalog) if cuda and asked.vendor == "nvidia" else None
    return TargetGpu(
        vendor=asked.vendor,
        runtime=runtime,
        toolkit=toolkit,
        majors=majors,
        driver_minimum=drivers.minimum if drivers else None,
        driver_toolkit=(drivers.full or drivers.packaged) if drivers else None,
        image=flavour,
        evidence=tuple(evidence),
        libraries=tuple(sorted(libraries, key=lambda library: (library.name, library.soname))),
        architectures=architectures,
    )


def cuda_of_base(environment: Mapping[str, str]) -> str | None:
    """Return the CUDA toolkit an image says it has, update included."""
    version = environment.get("CUDA_VERSION", "")
    return version if is_version(version) and "." in version else None


def cudnn_of_base(environment: Mapping[str, str]) -> str | None:
    """Return the cuDNN an image says it has: ``9.2.1.18``; None: it says none."""
    # as Debian writes it: 9.2.1.18-1
    version = environment.get("NV_CUDNN_VERSION", "").partition("-")[0]
    return version if is_version(version) else None


def gpu_environment(
    asked: GpuRequest, facts: TargetGpu, base_environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables an image for GPUs sets or changes, before the spec's own.

    What a base requires of the machine's driver is switched off: it is the list of drivers of the day the
    base was made, and may contradict what the lock says of the fleet.

    What a base put on ``LD_LIBRARY_PATH`` for its CUDA goes when wheels bring theirs: the loader looks there
    before the wheels' own search path (ld.so(8)), and the dynamic linker's cache knows the base's libraries
    anyway.
    """
    if asked.vendor != "nvidia":
        return {}
    found = {name: value for name, value in NVIDIA_ENVIRONMENT.items() if name not in base_environment}
    if any(name == "CUDA_VERSION" or name.startswith("NVIDIA_REQUIRE_") for name in base_environment):
        found |= _NO_REQUIREMENTS
    path = base_environment.get("LD_LIBRARY_PATH")
    if path and any(library.path for library in facts.libraries):
        kept = [folder for folder in path.split(":") if folder and not _SYSTEM_CUDA.fullmatch(folder)]
        if kept != path.split(":"):
            # an image cannot take a variable back, and the loader passes over an empty one
            found["LD_LIBRARY_PATH"] = ":".join(kept)
    return found


def _libraries_of_base(environment: Mapping[str, str]) -> Iterator[GpuLibrary]:
    cuda = cuda_of_base(environment)
    for name, (variable, soname) in _BASE_LIBRARIES.items():
        # as Debian writes it: 12.4.127-1
        version = environment.get(variable, "").partition("-")[0]
        if cuda and is_version(version):
            major = major_of(cuda)
            yield GpuLibrary(
                name=name,
                # the name of CUDA 11's has its first minor in it
                soname=soname.format(cuda="11.0" if major == 11 else major, own=major_of(version)),  # noqa: PLR2004
                version=version,
                provider="base",
            )
