"""Giving a container the GPUs of the engine's machine: what to ask of the engine, and whether it can.

NVIDIA's come through its container runtime, or through a CDI device (Container Device Interface, Docker
Engine 25); AMD's are plain device files.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from envbuild.errors import UsageError

AUTO, ALL, NONE = "auto", "all", "none"

_NUMBER = re.compile(r"[1-9]\d*")
_DEVICES = re.compile(r"device=\w[\w:./-]*(,\w[\w:./-]*)*", re.ASCII)

AMD_DEVICES = ("/dev/kfd", "/dev/dri")
"""What a process computes with on AMD's GPUs (ROCm documentation, "Running ROCm Docker containers")."""

NO_NVIDIA_GPUS: Mapping[str, str] = {"NVIDIA_VISIBLE_DEVICES": "void"}
"""What keeps NVIDIA's runtime from giving GPUs, where it is the engine's default: it goes by the image's
variables then (NVIDIA Container Toolkit, "Specialized Configurations with Docker")."""

_REFUSALS = re.compile(
    r"(?:could not select device driver|CDI device injection failed|nvidia-container-(?:cli|runtime)"
    r'|.{0,80}custom device "/dev/(?:kfd|dri)).*'
)
_REQUIREMENT = "requirement error"
"""What NVIDIA's runtime says of an image whose NVIDIA_REQUIRE_* the machine does not meet."""

_NO_NVIDIA = "the engine has neither NVIDIA's runtime nor its CDI device"
_NO_AMD = "the engine's machine is not known to have /dev/kfd"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuAccess:
    """Which GPUs a container is to have."""

    vendor: Literal["nvidia", "amd"]
    devices: str
    """``auto`` (all where the engine can, else none), ``all``, ``none``, a number, or ``device=0,1``."""


def parse_gpus(text: str, *, vendor: Literal["nvidia", "amd"]) -> GpuAccess:
    """Return what ``--gpus`` asks for: docker's ``all``, ``2``, ``device=0,1``; or ``auto``, ``none``.

    :raises UsageError: it is none of these.
    """
    if text not in {AUTO, ALL, NONE} and not _NUMBER.fullmatch(text) and not _DEVICES.fullmatch(text):
        raise UsageError(
            f"--gpus: `{text}` is not understood", hint="auto, all, none, a number, or device=0,1"
        )
    if vendor == "amd" and text not in {AUTO, ALL, NONE}:
        raise UsageError(
            "--gpus: AMD's GPUs are given all or none", hint="choose among them with HIP_VISIBLE_DEVICES"
        )
    return GpuAccess(vendor=vendor, devices=text)


def gpu_options(
    access: GpuAccess, info: Mapping[str, Any], *, is_here: bool, group_of: Callable[[str], int | None]
) -> tuple[dict[str, Any], str | None]:
    """Return the options a container is made with, in the words of Docker's SDK, and why there are none.

    ``info`` is what the engine says of itself (Engine API, ``/info``).  ``is_here`` says whether it runs on
    this machine, ``group_of`` gives the group of a device file here.  What was asked for by name is asked of
    the engine even where it does not look able: then it refuses, and says why.
    """
    if access.devices == NONE:
        return {}, "--gpus none was asked for"
    if access.vendor == "amd":
        return _amd_options(access, is_here=is_here, group_of=group_of)
    request = _nvidia_request(access.devices, info)
    if request is None:
        return {}, _NO_NVIDIA
    return {"device_requests": [request]}, None


def _nvidia_request(devices: str, info: Mapping[str, Any]) -> dict[str, Any] | None:
    has_runtime = "nvidia" in (info.get("Runtimes") or {})
    if not has_runtime and _has_cdi_device(info):
        return {"driver": "cdi", "device_ids": _cdi_names(devices)}
    if not has_runtime and devices == AUTO:
        return None
    request: dict[str, Any] = {"capabilities": [["gpu"]]}
    if devices.startswith("device="):
        return request | {"device_ids": devices.removeprefix("device=").split(",")}
    return request | {"count": -1 if devices in {AUTO, ALL} else int(devices)}


def _has_cdi_device(info: Mapping[str, Any]) -> bool:
    """Return whether the engine found one (Engine API 1.50; before, engines do not say)."""
    found = info.get("DiscoveredDevices") or ()
    return any(
        item.get("Source") == "cdi"
        and str(item.get("ID", item.get("Name", ""))).startswith("nvidia.com/gpu=")
        for item in found
    )


def _cdi_names(devices: str) -> list[str]:
    if devices in {AUTO, ALL}:
        return ["nvidia.com/gpu=all"]
    if devices.startswith("device="):
        return [f"nvidia.com/gpu={name}" for name in devices.removeprefix("device=").split(",")]
    return [f"nvidia.com/gpu={number}" for number in range(int(devices))]


def _amd_options(
    access: GpuAccess, *, is_here: bool, group_of: Callable[[str], int | None]
) -> tuple[dict[str, Any], str | None]:
    groups = {group_of(path) for path in (AMD_DEVICES[0], "/dev/dri/renderD128")} if is_here else set()
    if access.devices == AUTO and not any(group is not None for group in groups):
        return {}, _NO_AMD
    options: dict[str, Any] = {"devices": [f"{path}:{path}:rwm" for path in AMD_DEVICES]}
    # numbers: the image need not know the names `render` and `video`; 0 is nobody's to give
    numbers = sorted(group for group in groups if group)
    return options | ({"group_add": numbers} if numbers else {}), None


def gpu_refusal(told: str) -> str | None:
    """Return what an engine says of GPUs that it could not give a container, which it did not start.

    None: it is another matter, or the machine has GPUs and the image does not want them.
    """
    found = _REFUSALS.search(told)
    return None if found is None or _REQUIREMENT in told else found[0].strip()


def group_here(path: str) -> int | None:
    """Return the group that owns a file of this machine, or None when there is no such file."""
    try:
        return Path(path).stat().st_gid
    except OSError:
        return None
