"""The normalised request: what was asked, with includes read, overlays applied and order removed.

It is written into the lock and compared field by field with the spec's, so comments, order and line ends of
the spec never make a lock stale, and what does is named.
"""

from collections.abc import Iterator
from datetime import date
from typing import Literal

from pydantic import Field

from envbuild.platforms import PlatformName
from envbuild.values import Value


class BaseRequest(Value):
    """Where the operating system comes from: one of the two, or neither when it is matched to the GPU."""

    image: str | None = None
    """Image reference as the user wrote it, tag included."""

    packages: str | None = None
    """``distribution:suite`` to bootstrap from, such as ``debian:bookworm``."""


class PipRequest(Value):
    """Python distributions wanted."""

    resolver: Literal["uv", "pip-tools"] = "uv"

    requirements: tuple[str, ...] = ()
    """PEP 508 strings, names and specifiers normalised, sorted, each once."""

    constraints: tuple[str, ...] = ()
    """PEP 508 strings that bound versions without asking for anything (``-c``), sorted."""

    indexes: dict[str, str] = Field(default_factory=dict)
    """Named indexes of the spec: simple-API address by name, never with credentials."""

    sources: dict[str, str] = Field(default_factory=dict)
    """Normalised distribution name → name of the one index it may come from."""


class SystemRequest(Value):
    """Distribution packages wanted."""

    packages: tuple[str, ...] = ()
    """Names, or ``name=version``; sorted."""


GpuImage = Literal["auto", "slim", "base", "runtime", "cudnn-runtime", "devel"]
"""How much of CUDA a base brings, least first; ``slim``: none."""


class GpuRequest(Value):
    """GPUs the environment computes on."""

    vendor: Literal["nvidia", "amd"] = "nvidia"

    cuda: str = "auto"
    """``major.minor`` the environment must run on, or ``auto``: what its wheels were built for."""

    targets: tuple[str, ...] = ()
    """Names of GPUs or compute capabilities (``sm_90``), sorted, each once."""

    driver: str | None = None
    """``>=535``: the oldest driver on the fleet."""

    image: GpuImage = "auto"


class ImageRequest(Value):
    """How the image is configured."""

    env: dict[str, str] = Field(default_factory=dict)
    user: str = "app"
    workdir: str = "/workspace"
    command: tuple[str, ...] = ("python",)


class VariantRequest(Value):
    """All that is asked for one variant."""

    python: str
    """``3.11``, or ``3.11.9`` when the patch release matters."""

    snapshot: date | None = None
    """Nothing published after the end of this day (UTC) is considered."""

    base: BaseRequest
    pip: PipRequest = PipRequest()
    system: SystemRequest = SystemRequest()

    gpu: GpuRequest | None = None
    """None: an environment for CPUs."""

    image: ImageRequest = ImageRequest()

    seed: int | None = None
    """Seed of the determinism table, or None when it is absent."""


class Request(Value):
    """All that is asked."""

    name: str
    repository: str | None = None
    """Where ``--push`` goes: registry and repository without a tag."""

    platforms: tuple[PlatformName, ...]
    """Sorted."""

    default_variant: str
    variants: dict[str, VariantRequest]
    """By name, sorted."""

    def targets(self) -> Iterator[tuple[str, PlatformName]]:
        """Yield every (variant, platform) this request covers, in lock order."""
        for variant in sorted(self.variants):
            for platform in self.platforms:
                yield variant, platform
