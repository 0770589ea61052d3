"""Asks NVML which GPUs there are, and prints it as JSON.

A program that `gpus` starts alone: it imports the standard library and nothing of this package.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

MOST_GPUS = 64


class _Memory(ctypes.Structure):
    """What nvmlDeviceGetMemoryInfo fills in, in bytes."""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def ask(name: str) -> dict[str, Any]:
    """Return driver and GPUs.  :raises OSError: when there is no such library, or it refuses."""
    library = ctypes.CDLL(name)
    _call(library.nvmlInitWithFlags, ctypes.c_uint(0))
    try:
        found: dict[str, Any] = {}
        driver = ctypes.create_string_buffer(96)
        _call(library.nvmlSystemGetDriverVersion, driver, ctypes.c_uint(96))
        found["driver"] = driver.value.decode("utf-8", "replace")
        count = ctypes.c_uint()
        _call(library.nvmlDeviceGetCount_v2, ctypes.byref(count))
        found["gpus"] = [_device(library, position) for position in range(min(count.value, MOST_GPUS))]
    finally:
        library.nvmlShutdown()
    return found


def _device(library: Any, position: int) -> dict[str, Any]:
    handle = ctypes.c_void_p()
    name = ctypes.create_string_buffer(96)
    try:
        _call(library.nvmlDeviceGetHandleByIndex_v2, ctypes.c_uint(position), ctypes.byref(handle))
        _call(library.nvmlDeviceGetName, handle, name, ctypes.c_uint(96))
    except OSError as error:
        # one that fell off the bus; the others are there
        return {"name": "unknown", "error": str(error)}
    found: dict[str, Any] = {"name": name.value.decode("utf-8", "replace")}
    memory = _Memory()
    if library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0:
        found["memory"] = int(memory.total)
    major, minor = ctypes.c_int(), ctypes.c_int()
    if library.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor)) == 0:
        found["compute-capability"] = f"{major.value}.{minor.value}"
    return found


def _call(function: Any, *arguments: Any) -> None:
    code = function(*arguments)
    if code != 0:
        raise OSError(f"NVML answers {code}")


def main(name: str) -> None:
    """Print what NVML says; what the library itself writes to standard output goes nowhere."""
    answer, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.write(answer, json.dumps(ask(name)).encode())


if __name__ == "__main__":
    main(sys.argv[1])
