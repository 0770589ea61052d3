"""NVIDIA's driver and GPUs: NVML through nvidia-ml-py, and the CUDA driver library by itself.

Libraries are loaded in processes of their own: a broken driver crashes or hangs who asks it.
"""

import ctypes
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from envbuild.verify.checks.gpu_facts import DriverFacts, DriverState, GpuDevice
from envbuild.verify.probe.isolated import Answer, isolated
from envbuild.verify.probe.roots import place, read_text

_PATIENCE = 60.0
"""Seconds: a driver without its persistence daemon takes several to wake each GPU."""

_NVML = "libnvidia-ml.so.1"
_CUDA = "libcuda.so.1"
_MODULE_VERSION = re.compile(r"Kernel Module\b.*?\s(\d+\.\d+(?:\.\d+)?)\b")
_LIBRARY_VERSION = re.compile(r"libcuda\.so\.(\d{3,}\.\d+(?:\.\d+)?)$")

_STATES: dict[int, tuple[DriverState, str]] = {
    9: ("not-loaded", f"{_NVML} is here, but the kernel has no NVIDIA driver loaded"),
    12: ("absent", f"there is no {_NVML}"),
    18: ("mismatch", "the driver in the kernel and its libraries are of different versions"),
}
"""nvmlReturn_t of nvml.h: what a failed start says of the driver."""


def nvidia_facts(root: Path = Path("/")) -> tuple[DriverFacts, tuple[GpuDevice, ...]]:
    """Return NVIDIA's driver and the GPUs it lets this process see.

    ``root`` is where ``/proc`` lies; the libraries are those of this process.
    """
    module = module_version(read_text(place(root, "/proc/driver/nvidia/version")) or "")
    answer = isolated(_ask_nvml, seconds=_PATIENCE)
    state, reason = _state(answer)
    said: dict[str, Any] = answer.value or {}
    if state == "absent" and module:
        state, reason = "failed", f"the kernel has NVIDIA's driver {module}, but {_NVML} is not here"
    of_cuda = isolated(_ask_cuda, seconds=_PATIENCE)
    cuda: dict[str, Any] = of_cuda.value or {}
    library = library_version(cuda.get("path") or "")
    if state == "mismatch" and module and library:
        reason = f"the driver in the kernel is {module}, its libraries are {library}"
    facts = DriverFacts(
        state=state,
        reason=reason,
        version=said.get("driver") or module,
        cuda=said.get("cuda"),
        library=cuda.get("path"),
        library_version=library,
        library_cuda=cuda.get("version"),
        library_status=cuda.get("status"),
        library_problem=of_cuda.problem if state == "ready" else None,
    )
    return facts, tuple(GpuDevice(vendor="nvidia", **device) for device in said.get("devices", ()))


def module_version(text: str) -> str | None:
    """Return the driver's version from ``/proc/driver/nvidia/version``."""
    match = _MODULE_VERSION.search(text)
    return match[1] if match else None


def library_version(path: str) -> str | None:
    """Return the driver's version from the name that its installer gave ``libcuda``."""
    match = _LIBRARY_VERSION.search(path)
    return match[1] if match else None


def cuda_version(number: int) -> str:
    """Return ``13.0`` for 13000: 1000 × major + 10 × minor (cuDriverGetVersion, cudaRuntimeGetVersion)."""
    return f"{number // 1000}.{number % 1000 // 10}"


def mapped_path(name: str) -> str | None:
    """Return which file of that name's beginning this process has mapped (proc_pid_maps(5))."""
    for line in (read_text(Path("/proc/self/maps")) or "").splitlines():
        path = line.partition("/")[1] + line.partition("/")[2]
        if os.path.basename(path).startswith(name):  # noqa: PTH119 - text, not a file
            return path
    return None


def _state(answer: Answer) -> tuple[DriverState, str | None]:
    if answer.problem is not None:
        return "failed", f"{_NVML}: {answer.problem}"
    code = answer.value.get("error")
    if code is None:
        return "ready", None
    if code in _STATES:
        return _STATES[code]
    return "failed", f"{_NVML} does not start: {answer.value['message']}"


def _ask_nvml() -> dict[str, Any]:
    try:
        ctypes.CDLL(_NVML)
    except OSError as error:
        if str(error).startswith(f"{_NVML}: cannot open shared object file"):
            return {"error": 12}
        # there, but it cannot be loaded: the module below would call that absent too
        raise
    import pynvml  # noqa: PLC0415 - NVIDIA's own module, carried beside this; slow to load

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return {"error": error.value, "message": str(error)}

    def ask(function: Callable[..., Any], *arguments: Any) -> Any:
        """Return None for what this driver or GPU does not know."""
        try:
            return function(*arguments)
        except pynvml.NVMLError:
            return None

    # only the second form asks libcuda; the first makes a version up when there is none (nvml.h)
    cuda = ask(pynvml.nvmlSystemGetCudaDriverVersion_v2)
    count = ask(pynvml.nvmlDeviceGetCount) or 0
    return {
        "driver": ask(pynvml.nvmlSystemGetDriverVersion),
        "cuda": cuda_version(cuda) if cuda else None,
        "devices": [_describe(pynvml, ask, index) for index in range(count)],
    }


def _describe(nvml: Any, ask: Callable[..., Any], index: int) -> dict[str, Any]:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        return {"index": index, "problem": str(error)}
    capability = ask(nvml.nvmlDeviceGetCudaComputeCapability, handle)
    memory = ask(nvml.nvmlDeviceGetMemoryInfo, handle)
    mig = ask(nvml.nvmlDeviceGetMigMode, handle)
    return {
        "index": index,
        "name": ask(nvml.nvmlDeviceGetName, handle),
        "architecture": "sm_{}{}".format(*capability) if capability else None,
        "memory": int(memory.total) if memory else None,
        "identifier": ask(nvml.nvmlDeviceGetUUID, handle),
        "mig": bool(mig[0]) if mig else None,
    }


def _ask_cuda() -> dict[str, Any]:
    library = ctypes.CDLL(_CUDA)
    number = ctypes.c_int()
    known = library.cuDriverGetVersion(ctypes.byref(number)) == 0 and number.value
    path = mapped_path("libcuda.so")
    return {
        "path": os.path.realpath(path) if path else None,
        "version": cuda_version(number.value) if known else None,
        "status": library.cuInit(0),
    }
