"""Compute capabilities: what a GPU can run, as code is made for it.

The rules are those of the CUDA C++ Programming Guide, "Application Compatibility" (binary and PTX
compatibility, architecture-specific and family-specific targets), and of the nvcc manual, "GPU Feature List".

Standard library only: the probe carries this module into containers (``verify/probe_bundle.py``).
"""

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final, Literal

Scope = Literal["", "a", "f"]
"""What a target name ends in: nothing, ``a`` (this very capability only) or ``f`` (its family only)."""

INTEGRATED: Final = frozenset({(3, 2), (5, 3), (6, 2), (7, 2), (8, 7), (10, 1), (11, 0)})
"""Capabilities of GPUs in Tegra systems on chip: binaries for others are not promised to run there, nor
theirs elsewhere."""

_TARGET = re.compile(r"(?:sm_|compute_|lto_)?([1-9][0-9]?)([0-9])([af]?)")
_DOTTED = re.compile(r"([1-9][0-9]?)\.([0-9])([af]?)")


@total_ordering
@dataclass(frozen=True, slots=True)
class ComputeCapability:
    """``major.minor`` of a GPU, or of what code was made for (then perhaps with a scope)."""

    major: int
    minor: int
    scope: Scope = ""

    @classmethod
    def parse(cls, text: str) -> "ComputeCapability":
        """Read ``9.0``, ``sm_90``, ``sm_90a``, ``compute_120`` or ``120``.

        :raises ValueError: it is none of these.
        """
        found = _DOTTED.fullmatch(text) or _TARGET.fullmatch(text)
        if found is None:
            raise ValueError(f"`{text}` is not a compute capability")
        scope = found[3]
        return cls(int(found[1]), int(found[2]), "a" if scope == "a" else "f" if scope == "f" else "")

    @property
    def dotted(self) -> str:
        """As documentation and NVML write it: ``9.0``."""
        return f"{self.major}.{self.minor}{self.scope}"

    @property
    def sm(self) -> str:
        """As binaries are named: ``sm_90``."""
        return f"sm_{self.major}{self.minor}{self.scope}"

    @property
    def compute(self) -> str:
        """As PTX is named: ``compute_90``."""
        return f"compute_{self.major}{self.minor}{self.scope}"

    @property
    def is_integrated(self) -> bool:
        """Whether it is that of a Tegra system on chip."""
        return (self.major, self.minor) in INTEGRATED

    def runs_cubin_of(self, made_for: "ComputeCapability") -> bool:
        """Return whether a GPU of this capability is promised to run binaries made for another.

        The same major and no smaller minor; between Tegra and other GPUs only the exact match is promised.
        """
        if made_for.scope == "a" or self.is_integrated or made_for.is_integrated:
            return (self.major, self.minor) == (made_for.major, made_for.minor)
        return self.major == made_for.major and self.minor >= made_for.minor

    def runs_ptx_of(self, made_for: "ComputeCapability") -> bool:
        """Return whether a GPU of this capability runs PTX made for another once a driver compiled it."""
        if made_for.scope == "a":
            return (self.major, self.minor) == (made_for.major, made_for.minor)
        if made_for.scope == "f":
            return self.major == made_for.major and self.minor >= made_for.minor
        return (self.major, self.minor) >= (made_for.major, made_for.minor)

    def __lt__(self, other: "ComputeCapability") -> bool:
        return (self.major, self.minor, self.scope) < (other.major, other.minor, other.scope)

    def __str__(self) -> str:
        return self.dotted


def capabilities(text: str) -> tuple[ComputeCapability, ...]:
    """Read capabilities kept on one line of a data file."""
    return tuple(ComputeCapability.parse(word) for word in text.split())
