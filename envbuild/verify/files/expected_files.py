"""What files a package brings, as its locked artifact says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class ExpectedEntry(NamedTuple):
    """One path of a package."""

    kind: str
    """``f`` file, ``l`` link, ``d`` folder, ``o`` other."""

    mode: int
    """Permission bits."""

    content: str | None
    """sha256 of a file, target of a link, else None."""

    conffile: bool = False
    """A configuration file in dpkg's sense: its owner may change it."""


Tree = Mapping[str, ExpectedEntry]
"""By path: relative to the prefix for a wheel, absolute for a deb."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFiles:
    """The trees of a target's artifacts, by file name."""

    wheels: Mapping[str, Tree] = field(default_factory=dict)
    debs: Mapping[str, Tree] = field(default_factory=dict)
    conda: Mapping[str, Tree] = field(default_factory=dict)
