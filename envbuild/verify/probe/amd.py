"""AMD's driver and GPUs, as the kernel shows them: no library of ROCm is needed."""

import os
from pathlib import Path

from envbuild.verify.checks.gpu_facts import DriverFacts, GpuDevice
from envbuild.verify.probe.roots import place, read_text

_NODES = "/sys/class/kfd/kfd/topology/nodes"
_MODULE = "/sys/module/amdgpu"
_DOOR = "/dev/kfd"
_FRAME_BUFFER = {"1", "2"}
"""Heap types of a GPU's own memory, visible to the processor or not (kfd: HSA_MEM_HEAP_TYPE_FB_*)."""


def amd_facts(root: Path = Path("/")) -> tuple[DriverFacts, tuple[GpuDevice, ...]]:
    """Return AMD's driver and the GPUs of its compute part (KFD); ``root`` has ``/sys`` and ``/dev``.

    The kernel shows every GPU of the machine; whether a process may use them is whether it may open the door.
    """
    if not place(root, _MODULE).is_dir():
        return DriverFacts(state="absent", reason="the kernel has no amdgpu driver"), ()
    # only a driver of ROCm's own package has a version; the kernel's is as old as the kernel
    version = (read_text(place(root, f"{_MODULE}/version")) or "").strip() or None
    door = place(root, _DOOR)
    if not door.exists():
        reason = f"the kernel has AMD's driver, but {_DOOR} is not here"
        return DriverFacts(state="not-loaded", reason=reason, version=version), ()
    if not os.access(door, os.R_OK | os.W_OK):
        reason = f"{_DOOR} may not be opened by this user"
        return DriverFacts(state="failed", reason=reason, version=version), ()
    return DriverFacts(state="ready", version=version), _devices(place(root, _NODES))


def architecture_name(version: int) -> str:
    """Return ``gfx90a`` for 90010: 10000 × major + 100 × minor + stepping, the last two in hexadecimal.

    (Linux ``kfd_device.c``, LLVM's AMDGPU user guide.)
    """
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def _devices(nodes: Path) -> tuple[GpuDevice, ...]:
    devices: list[GpuDevice] = []
    folders = sorted(nodes.glob("[0-9]*"), key=lambda path: int(path.name)) if nodes.is_dir() else []
    for node in folders:
        properties = _properties(node / "properties")
        version = _number(properties, "gfx_target_version")
        if not version:
            continue  # a processor
        banks = [_properties(bank / "properties") for bank in sorted((node / "mem_banks").glob("*"))]
        own = [_number(bank, "size_in_bytes") for bank in banks if bank.get("heap_type") in _FRAME_BUFFER]
        identifier = _number(properties, "unique_id")
        devices.append(
            GpuDevice(
                vendor="amd",
                index=len(devices),
                name=(read_text(node / "name") or "").strip() or None,
                architecture=architecture_name(version),
                memory=sum(own) if own else None,
                identifier=f"{identifier:#x}" if identifier else None,
            )
        )
    return tuple(devices)


def _properties(path: Path) -> dict[str, str]:
    pairs = (line.split() for line in (read_text(path) or "").splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}  # noqa: PLR2004 - name and value


def _number(properties: dict[str, str], name: str) -> int:
    text = properties.get(name, "0")
    return int(text) if text.isdecimal() else 0
