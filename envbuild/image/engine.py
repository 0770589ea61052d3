"""What an engine is asked to do, whichever it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from envbuild.progress import Progress


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """A recipe laid out on disk, ready to be built."""

    folder: Path
    """Holds the Dockerfile and what it binds."""

    artifacts: Path
    """Holds the verified artifacts under the paths the Dockerfile gives them."""

    epoch: int
    platform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerOutcome:
    """How a command in a container ended."""

    exit_status: int
    stdout: bytes
    stderr: bytes


class Engine(Protocol):
    """Holds images, and runs commands in them."""

    def find(self, reference: str) -> ImageFacts | None:
        """Return what the engine says of a local image, or None when it has none of that name."""

    def run(
        self,
        reference: str,
        command: Sequence[str],
        *,
        files: Mapping[str, bytes],
        user: str | None,
        gpus: bool = True,
    ) -> ContainerOutcome:
        """Run ``command`` in a fresh container without network and remove it.

        ``files`` are laid into the container first, by absolute path.  Without ``gpus`` it gets none,
        whatever others get: who gives GPUs also lays files of the driver into a container.
        """

    def run_attached(
        self,
        reference: str,
        command: Sequence[str],
        *,
        archive: bytes | None,
        workdir: str,
        env: Mapping[str, str],
        interactive: bool,
    ) -> int:
        """Run ``command`` on this terminal's streams and return its exit status.

        ``archive`` is a tar laid into ``workdir`` first.
        """


class GpuEngine(Engine, Protocol):
    """An engine that knows why its containers get no GPU; it may know only once it has run one."""

    @property
    def withheld(self) -> str | None:
        """Why containers get no GPU although some were wanted; None when they get them, or none were."""


class BuildingEngine(Engine, Protocol):
    """An engine that builds from a Dockerfile."""

    def build(self, context: BuildContext, reference: str, *, use_cache: bool, progress: Progress) -> None:
        """Build ``context`` and name the result; ``progress`` is told of each step as it starts."""
