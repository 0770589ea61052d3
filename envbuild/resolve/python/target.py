"""The machine a Python environment is resolved for: which wheels it can load, what markers say there."""

import platform as host_platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.version import Version

from envbuild.lock.model import Libc
from envbuild.platforms import Platform, host, marker_environment

_LEGACY_ALIASES = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
"""Names manylinux tags had before they spelled the glibc version (PEP 600)."""

_OLDEST_GLIBC = {"x86_64": 5}
_OLDEST_GLIBC_ELSEWHERE = 17
"""Minor versions below which no manylinux policy exists for a machine (PEP 513, PEP 599)."""


@dataclass(frozen=True)
class TargetPython:
    """CPython of one exact version, on one platform with one C library."""

    platform: Platform
    libc: Libc
    version: str
    """Full, such as ``3.11.2``."""

    @property
    def minor(self) -> tuple[int, int]:
        """``(3, 11)``."""
        release = Version(self.version).release
        return release[0], release[1]

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """Wheel tags this target accepts, the most specific first (platform compatibility tags)."""
        interpreter = f"cp{self.minor[0]}{self.minor[1]}"
        platforms = tuple(self._platform_tags())
        return (
            *cpython_tags(self.minor, abis=(interpreter,), platforms=platforms),
            *compatible_tags(self.minor, interpreter=interpreter, platforms=platforms),
        )

    @cached_property
    def rank(self) -> Mapping[Tag, int]:
        """Place of each accepted tag in the order of preference, 0 being the best."""
        return {tag: place for place, tag in reversed(tuple(enumerate(self.tags)))}

    @cached_property
    def tag_names(self) -> frozenset[str]:
        """The accepted tags as file names have them: ``cp311-cp311-manylinux_2_17_x86_64``."""
        return frozenset(str(tag) for tag in self.tags)

    @property
    def marker_environment(self) -> dict[str, str]:
        """Values of the environment markers (PEP 508); the kernel's are empty, as it is not the image's."""
        return marker_environment(self.platform, self.version)

    def _platform_tags(self) -> Iterator[str]:
        machine = self.platform.machine
        major, minor = libc_version(self.libc.version)
        if self.libc.family == "musl":
            for older in range(minor, -1, -1):
                yield f"musllinux_{major}_{older}_{machine}"
        else:
            for older in range(minor, _OLDEST_GLIBC.get(machine, _OLDEST_GLIBC_ELSEWHERE) - 1, -1):
                yield f"manylinux_{major}_{older}_{machine}"
                if (major, older) in _LEGACY_ALIASES:
                    yield f"{_LEGACY_ALIASES[major, older]}_{machine}"
        # last: of two files, the one that states which C library it needs is the safer
        yield f"linux_{machine}"

    def __str__(self) -> str:
        return f"{self.platform.name}, Python {self.version}, {self.libc.family} {self.libc.version}"


def libc_version(text: str) -> tuple[int, int]:
    """Return ``(2, 36)`` for ``2.36``, ignoring what a distribution appends."""
    match = re.match(r"(\d+)\.(\d+)", text)
    if match is None:
        raise ValueError(f"`{text}` is not the version of a C library")
    return int(match[1]), int(match[2])


def differences_from_host(target: TargetPython) -> tuple[str, ...]:
    """Return in words what keeps this machine's own Python from standing in for ``target``."""
    here = host()
    family = "glibc" if host_platform.libc_ver()[0] == "glibc" else "musl"
    found = []
    if here != target.platform or sys.platform != "linux":
        found.append(f"this machine is {here.name if here else host_platform.machine()}")
    if sys.version_info[:2] != target.minor or sys.implementation.name != "cpython":
        found.append(f"envbuild runs on Python {host_platform.python_version()}")
    if sys.platform == "linux" and family != target.libc.family:
        found.append(f"this machine has {family}")
    return tuple(found)
