"""CUDA's rules as far as a comparison needs them: versions, architectures, and what errors mean."""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from envbuild.catalog.capability import ComputeCapability
from envbuild.verify.checks.gpu_facts import DriverFacts
from envbuild.verify.checks.target import LockedArchitectures

ERRORS = {
    3: ("cudaErrorInitializationError", "initialization error"),
    34: ("cudaErrorStubLibrary", "libcuda.so.1 is the toolkit's stub, not a driver's"),
    35: ("cudaErrorInsufficientDriver", "no driver, or one older than the CUDA runtime needs"),
    36: ("cudaErrorCallRequiresNewerDriver", "the driver lacks what was called"),
    46: ("cudaErrorDevicesUnavailable", "all GPUs are busy or taken"),
    100: ("cudaErrorNoDevice", "the driver shows no GPU"),
    101: ("cudaErrorInvalidDevice", "there is no such GPU"),
    209: ("cudaErrorNoKernelImageForDevice", "there is no code for this GPU"),
    218: ("cudaErrorInvalidPtx", "PTX could not be compiled"),
    222: ("cudaErrorUnsupportedPtxVersion", "the driver is too old for this PTX"),
    802: ("cudaErrorSystemNotReady", "the system is not ready: the fabric manager may not be running"),
    803: ("cudaErrorSystemDriverMismatch", "libcuda does not fit the driver in the kernel"),
    804: ("cudaErrorCompatNotSupportedOnDevice", "forward compatibility does not work on this GPU"),
    304: ("cudaErrorOperatingSystem", "the kernel refused; its module nvidia-uvm may not be loaded"),
    999: ("cudaErrorUnknown", "unknown error; the kernel's module nvidia-uvm may not be loaded"),
}
"""Name in ``driver_types.h`` and meaning, by number; the driver's own functions use the same numbers."""

NO_DEVICE = 100

OLDEST = {11: ComputeCapability(3, 5), 12: ComputeCapability(5, 0), 13: ComputeCapability(7, 5)}
"""Oldest compute capability each CUDA major compiles for (release notes of CUDA 11.8, 12.0, 13.0)."""

ENOUGH = 0.5
"""Share of a library's kernels that a GPU must find; the lock-time check asks for the same."""


def why_unusable(driver: DriverFacts, *, devices: int) -> str | None:
    """Return why no CUDA program works with a driver that runs and shows that many GPUs, or None.

    Its management library (NVML) and CUDA are two things: either may work without the other.
    """
    if driver.library_problem is not None:
        # what is missing names itself, what crashes does not
        told = driver.library_problem
        problem = told if told.startswith("libcuda.so.1") else f"libcuda.so.1: {told}"
        return f"no CUDA program works: {problem}"
    if driver.library_status in {None, 0} or (driver.library_status == NO_DEVICE and not devices):
        return None
    reason = explain_status(driver.library_status or 0)
    if driver.library_status == NO_DEVICE:
        reason += (
            f", but it has {devices}: CUDA_VISIBLE_DEVICES may hide them, "
            "or they are cut into instances (MIG) and none was given"
        )
    return reason


def explain_status(status: int) -> str:
    """Return what a CUDA error number means."""
    name, meaning = ERRORS.get(status, ("", ""))
    return f"{meaning} (error {status}, {name})" if name else f"error {status}"


def release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``535.104.05`` → (535, 104, 5)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def is_at_least(version: str, minimum: str) -> bool:
    """Return whether a driver's ``version`` is ``minimum`` or newer."""
    return release(version) >= release(minimum)


def agrees(locked: str, reported: str) -> bool:
    """Return whether a library that reports ``reported`` can be of release ``locked``.

    Functions report less than packages say: ``9.24.0`` of 9.24.0.43, ``13.0`` of 13.0.96.
    """
    said = release(reported)
    return bool(said) and release(locked)[: len(said)] == said


def capability(architecture: str) -> ComputeCapability | None:
    """Return the compute capability behind ``sm_75`` or ``compute_75``; None for what is not NVIDIA's."""
    try:
        return ComputeCapability.parse(architecture)
    except ValueError:
        return None


def runs(architecture: str, code: Iterable[LockedArchitectures]) -> Literal["cubin", "ptx"] | None:
    """Return what of one wheel's device code a GPU of ``architecture`` executes, machine code first.

    The library with the most kernels decides, and a single kernel among hundreds does not count.
    """
    gpu = capability(architecture)
    main = max(code, key=_kernels, default=None)
    if gpu is None or main is None:
        return None
    enough = max(ENOUGH * _kernels(main), 1)
    if any(number >= enough and gpu.runs_cubin_of(made) for made, number in _read(main.cubins)):
        return "cubin"
    if any(number >= enough and gpu.runs_ptx_of(made) for made, number in _read(main.ptx)):
        return "ptx"
    return None


def carried(code: Iterable[LockedArchitectures]) -> tuple[str, ...]:
    """Return the architectures that one wheel's main library has code for, oldest first."""
    main = max(code, key=_kernels, default=None)
    if main is None:
        return ()
    enough = ENOUGH * _kernels(main)
    cubins = sorted(made for made, number in _read(main.cubins) if number >= enough)
    ptx = sorted(made for made, number in _read(main.ptx) if number >= enough)
    return (*(made.sm for made in cubins), *(made.compute for made in ptx))


def _kernels(code: LockedArchitectures) -> int:
    return max((*code.cubins.values(), *code.ptx.values()), default=0)


def _read(counts: dict[str, int]) -> Iterator[tuple[ComputeCapability, int]]:
    for name, number in counts.items():
        made = capability(name)
        if made is not None:
            yield made, number
