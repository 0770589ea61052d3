"""OCI platforms, and the names Python, Debian and conda give the same machines."""

import platform as host_platform
from dataclasses import dataclass
from typing import Final, Literal

PlatformName = Literal["linux/amd64", "linux/arm64"]

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH that engines give a container whose image sets none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One machine type under all its names."""

    name: PlatformName
    """As OCI writes it: ``os/architecture``."""

    machine: str
    """As ``uname -m`` and wheel tags write it."""

    debian: str
    """Debian architecture."""

    conda: str
    """conda subdir."""

    @property
    def architecture(self) -> str:
        """The OCI architecture alone."""
        return self.name.partition("/")[2]


AMD64 = Platform(name="linux/amd64", machine="x86_64", debian="amd64", conda="linux-64")
ARM64 = Platform(name="linux/arm64", machine="aarch64", debian="arm64", conda="linux-aarch64")
PLATFORMS: dict[PlatformName, Platform] = {platform.name: platform for platform in (AMD64, ARM64)}


def marker_environment(platform: Platform, python: str) -> dict[str, str]:
    """Return the values of environment markers (PEP 508) for CPython ``python``, a full version, in an image.

    Those of the kernel are empty: it is not the image's.
    """
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": platform.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
    }


def platform_of_machine(machine: str) -> Platform | None:
    """Return the platform whose containers a machine of this ``uname -m`` runs natively, if any."""
    machines = {"x86_64": AMD64, "amd64": AMD64, "aarch64": ARM64, "arm64": ARM64}
    return machines.get(machine.lower())


def host() -> Platform | None:
    """Return the platform of this machine, or None when no image of ours runs on it natively."""
    return platform_of_machine(host_platform.machine())
