"""Drivers, GPUs and their libraries, put together."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from envbuild.verify.checks.gpu_facts import GpuFacts, ImportFacts, Vendor
from envbuild.verify.probe.amd import amd_facts
from envbuild.verify.probe.libraries import library_facts
from envbuild.verify.probe.nvidia import nvidia_facts
from envbuild.verify.probe.roots import place, read_text

_VENDORS: dict[str, Vendor] = {"0x10de": "nvidia", "0x1002": "amd"}
_CLASSES = ("0x03", "0x12")
"""Display controllers (VGA, 3D) and processing accelerators (PCI code and ID assignment)."""


def gpu_facts(
    libraries: Mapping[str, str | None],
    *,
    folders: Iterable[str],
    imports: tuple[ImportFacts, ...] = (),
    root: Path = Path("/"),
) -> GpuFacts:
    """Return all about GPUs; ``folders`` hold the environment's packages.

    ``libraries`` are those to look for: soname → the path where it should be.
    ``root`` is where ``/proc``, ``/sys`` and ``/dev`` lie.  In another root than ``/`` no library is looked
    for: its loader is not this process'.
    """
    nvidia, nvidia_devices = nvidia_facts(root)
    amd, amd_devices = amd_facts(root)
    found = library_facts(libraries, folders=folders, environment=os.environ) if root == Path("/") else ()
    return GpuFacts(
        drivers={"nvidia": nvidia, "amd": amd},
        devices=(*nvidia_devices, *amd_devices),
        cards=pci_cards(root),
        libraries=found,
        imports=imports,
    )


def pci_cards(root: Path = Path("/")) -> dict[str, int]:
    """Return how many GPUs of each vendor the machine's PCI bus has: containers see it too."""
    cards: dict[str, int] = {}
    devices = place(root, "/sys/bus/pci/devices")
    for device in sorted(devices.iterdir()) if devices.is_dir() else ():
        vendor = _VENDORS.get((read_text(device / "vendor") or "").strip())
        if vendor and (read_text(device / "class") or "").startswith(_CLASSES):
            cards[vendor] = cards.get(vendor, 0) + 1
    return cards
