"""What is known of an image from its configuration, whatever holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envbuild.digest import OciDigest
from envbuild.formats.json_text import parse_json
from envbuild.oci.manifest import ManifestError, parse_config


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

    names: tuple[str, ...] = ()
    """``repository@sha256:…`` for each registry that the engine knows it to be in, sorted."""

    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All that a container starts with: the ``config`` table of the configuration."""


def facts_of_config(config: bytes, *, identifier: OciDigest, size: int = 0) -> ImageFacts:
    """Return what an engine would say of the image with this configuration.

    :raises ManifestError: it is not well formed.
    """
    parsed = parse_config(config)
    settings = parse_json(config).get("config") or {}

    def words(name: str) -> tuple[str, ...]:
        found = settings.get(name) or ()
        if not isinstance(found, list | tuple) or not all(isinstance(word, str) for word in found):
            raise ManifestError(f"config.{name} is not a list of words")
        return tuple(found)

    named = settings.get("Labels") or {}
    if not isinstance(named, dict):
        raise ManifestError("config.Labels is not a table")
    return ImageFacts(
        identifier=identifier,
        architecture=parsed.architecture,
        env=words("Env"),
        user=parsed.user,
        workdir=parsed.workdir,
        command=words("Cmd"),
        entrypoint=words("Entrypoint"),
        labels={str(name): str(value) for name, value in named.items()},
        diff_ids=parsed.diff_ids,
        size=size,
        settings=dict(settings),
    )
