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
    """Normalised distribution name → name of the one index or page it may come from."""

    find_links: dict[str, str] = Field(default_factory=dict)
    """Pages of the spec that list files of many distributions: address by name, never with credentials."""

    build: tuple[str, ...] | Literal["all"] = ()
    """Normalised names of distributions that may be built from source, sorted."""

    wheels_only: Literal[True] | None = None
    """True: the newest version with a wheel is taken where a source would give a newer one."""

    build_packages: tuple[str, ...] = ()
    """Distribution packages that builds need, ``name`` or ``name=version``; sorted."""

    build_constraints: tuple[str, ...] = ()
    """PEP 508 strings that bound what distributions are built with, sorted."""


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

    registry: str | None = None
    """Mirror of Docker Hub that matched bases come from."""


class CondaRequest(Value):
    """conda packages wanted, the environment's Python among them."""

    channels: tuple[str, ...]
    """In order of priority: names, or addresses without credentials and without a slash at the end."""

    packages: tuple[str, ...] = ()
    """``[channel::]name [version [build]]``, one for each name, sorted."""

    solver: Literal["rattler", "micromamba", "mamba", "conda"] = "rattler"

    cuda: str | None = None
    """Version of the virtual package ``__cuda``; None where there is no CUDA."""

    link_scripts: tuple[str, ...] = ()
    """Packages whose link scripts may run in a build, sorted."""

    pins: tuple[str, ...] = ()
    """``platform channel subdir/file#sha256:…`` (or ``#md5:…``) of a conda-lock.yml taken over, sorted:
    then nothing is solved."""


class ImageRequest(Value):
    """How the image is configured."""

    env: dict[str, str] = Field(default_factory=dict)
    prepend: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Folders before the base's own value of a variable, in order."""

    user: str = "app"
    workdir: str = "/workspace"
    command: tuple[str, ...] = ("python",)


class ExperimentsRequest(Value):
    """What trackers of experiments are told, where it is not what they are told anyway."""

    record: Literal[False] | None = None
    """False: nothing is recorded."""

    runtime: Literal[True] | None = None
    """True: ``envbuild-runtime`` is part of the environment."""


DataKind = Literal["files", "dvc", "url", "huggingface", "s3"]
"""Where data comes from; ``files``: it is just there."""


class DataRequest(Value):
    """Data or a model that runs read."""

    kind: DataKind = "files"

    path: str
    """File or folder on each machine: relative to the spec, or absolute."""

    target: str
    """Absolute path in containers."""

    version: str | None = None
    license: str | None = None

    source: str | None = None
    """Pointer of DVC, address, repository, or object; None for ``files``.  Never with credentials."""

    sha256: str | None = None
    """What the file at an address must be; None: what it is when it is first locked."""

    repository_type: Literal["dataset", "model", "space"] | None = None
    """Of the Hugging Face Hub."""

    revision: str | None = None
    """Branch, tag or commit of a repository, as it was asked for."""

    files: tuple[str, ...] = ()
    """Patterns of the files wanted of a repository, sorted; empty: all."""


class VariantRequest(Value):
    """All that is asked for one variant."""

    python: str
    """``3.11``, or ``3.11.9`` when the patch release matters."""

    snapshot: date | None = None
    """Nothing published after the end of this day (UTC) is considered."""

    base: BaseRequest = BaseRequest()
    pip: PipRequest = PipRequest()
    system: SystemRequest = SystemRequest()

    gpu: GpuRequest | None = None
    """None: an environment for CPUs."""

    conda: CondaRequest | None = None
    """None: the environment is a virtual environment of the base's own Python."""

    image: ImageRequest = ImageRequest()

    seed: int | None = None
    """Seed of the determinism table, or None when it is absent."""

    experiments: ExperimentsRequest | None = None
    """None: the environment is recorded, and nothing is installed for it."""


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

    data: dict[str, DataRequest] = Field(default_factory=dict)
    """Data and models, by name, sorted; the same for all variants."""

    def targets(self) -> Iterator[tuple[str, PlatformName]]:
        """Yield every (variant, platform) this request covers, in lock order."""
        for variant in sorted(self.variants):
            for platform in self.platforms:
                yield variant, platform
