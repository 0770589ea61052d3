"""What is true of every image that an engine made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """An engine as the maker of images."""

    name: str
    """Value of the label ``dev.envbuild.engine``."""

    same_bytes: bool
    """Whether it makes the same layers of the same lock on every machine: its images have one digest."""

    settings: Mapping[str, Any]
    """Fields that it may write into a configuration besides what the lock says; they mean nothing."""
