"""What is known of an image from its configuration, whatever holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What an engine says of an image it holds (image-spec, config.md)."""

    identifier: str
    """The engine's ID of the image: ``sha256:…``."""

    architecture: str
    env: tuple[str, ...]
    user: str
    workdir: str
    command: tuple[str, ...]
    entrypoint: tuple[str, ...]
    labels: Mapping[str, str]
    diff_ids: tuple[str, ...]
    """Digests of the uncompressed layers, bottom first."""

    size: int
    """Bytes, as the engine counts them."""

    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All that a container starts with: the ``config`` table of the configuration."""
