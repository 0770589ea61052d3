"""The engine protocol: what builds, holds and runs images.  Each engine is a folder beside this module.

Workflows speak to this protocol alone.  Another engine is another implementation and one more line in
``envbuild/workflows/engines.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from envbuild.image.container_options import ContainerOptions
from envbuild.image.facts import ImageFacts

OutputKind = Literal["oci", "archive"]

if TYPE_CHECKING:
    from envbuild.formats.compression import Compression
    from envbuild.image.registry_image import RegistryImage
    from envbuild.image.stored.image import StoredImage
    from envbuild.image.stored.listings import ListingCache
    from envbuild.lock.model import Lock, Target
    from envbuild.oci.blobs import Blobs
    from envbuild.oci.image import OciImage
    from envbuild.platforms import Platform
    from envbuild.store.target_artifacts import TargetArtifacts

Feature = Literal["compression", "export", "gpus", "load"]
"""What not every engine can do: choose the compression of layers, write an image to a folder or an archive,
give GPUs to containers, give an image to a Docker Engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerOutcome:
    """How a command in a container ended."""

    exit_status: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What a command may use: its image may be hostile.

    A command with limits gains no privileges either: set-user-ID programs run as whoever starts them.
    """

    seconds: float
    """From its start to its end, children included."""

    memory: int
    """Bytes, of all its processes together; pages of files on the disk do not count.  A command that asks for
    far more at once may be refused it instead, and fail by itself."""

    output: int
    """Bytes of standard output, and as many of standard error."""

    processes: int
    """Processes and threads.  An engine may refuse to start one more rather than end the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A command for a fresh container, which is removed afterwards."""

    image: str
    """Reference, or the engine's ID of an image."""

    command: tuple[str, ...]
    user: str | None = None
    """Name or number; None: the image's own."""

    workdir: str | None = None
    """Absolute path; None: the image's own."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables besides the image's own."""

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Content by absolute path, written into the container first."""

    archive: bytes | None = field(default=None, repr=False)
    """A tar, unpacked in ``workdir`` first; of attached commands alone."""

    gpus: bool = True
    """False: this container gets no GPU, whatever others get.  A runtime that gives GPUs also writes files of
    the driver into a container."""

    stdin: bool = False
    """Whether an attached command reads this process' standard input; others read none."""

    limits: RunLimits | None = None
    """None: no bounds.  Attached commands have none in any case: somebody watches them."""

    options: ContainerOptions = field(default_factory=ContainerOptions)
    """Of attached commands alone: others get neither mounts nor a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """A target to be built."""

    lock: "Lock"
    target: "Target"
    artifacts: "TargetArtifacts"
    """Where its packages are; asked only when something must be built."""

    probe: Callable[[], bytes]
    """Gives the verification probe that the image carries."""

    use_cache: bool = True
    """False: every step runs again."""

    any_engine: bool = False
    """Whether an image that another engine made will do."""

    compression: "Compression" = "zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """The image of a target, and whether it was built now."""

    reference: str
    facts: ImageFacts
    built: bool
    """False: the engine held it already."""

    content: "OciImage | None" = field(default=None, repr=False)
    """Its documents, where the engine keeps them on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineImage:
    """One name of an image that an engine holds and envbuild built."""

    reference: str
    """``repository:tag``; the engine's ID where the image lost its name to another."""

    facts: ImageFacts
    used: float | None = None
    """When it was last used, in seconds since 1970; None: the engine does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOutput:
    """A file or folder an image is written to."""

    kind: OutputKind
    path: Path

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """A second build that gave the same image."""

    varied: tuple[str, ...]
    """What was different the second time."""

    notes: tuple[str, ...]
    """What this does not prove."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCheck:
    """Something that an engine needs of this machine."""

    name: str
    look: Callable[[], str]
    """Returns in words what is there; raises an error of ours when it is missing."""


class ImageHolder(Protocol):
    """Holds images."""

    @property
    def name(self) -> str:
        """What ``--engine`` and the label ``dev.envbuild.engine`` call the engine."""

    def find(self, reference: str) -> ImageFacts | None:
        """Return what the engine says of an image it holds, or None when it has none of that name.

        :raises EngineError: the engine does not answer.
        """


class ContainerRunner(ImageHolder, Protocol):
    """Holds images and runs commands in them."""

    @property
    def withheld(self) -> str | None:
        """Why containers get no GPU although some were wanted; None: they get them, or none were wanted.

        It may be known only once a container has run.
        """

    def run(self, request: RunRequest) -> ContainerOutcome:
        """Run a command without network, and return what it wrote and how it ended.

        Nothing of it stays: no process, no container, no volume.

        :raises LimitExceededError: it wanted more than the request's limits, and was ended.  What a host
            cannot bound, it does not bound; the time and the output it always does.
        :raises EngineError: the engine does not answer, or does not start the command: it is not in the
            image, or not executable.
        """

    def run_attached(self, request: RunRequest) -> int:
        """Run a command with network on this terminal's streams, and return its exit status.

        It ends when this process is told to end, after :data:`envbuild.process.GRACE_SECONDS` at most;
        nothing of it stays.

        :raises CopyOutError: the command has ended, and what was to be copied is not there or cannot be
            written here.
        :raises CommandMissingError: the command is not in the image, or not executable.
        :raises RunError: the engine does not answer, or does not start the command.  No status is returned
            for those, as each could be the command's own.
        """


class Engine(ContainerRunner, Protocol):
    """Builds, holds, runs and pushes the images of targets."""

    @property
    def title(self) -> str:
        """How messages name it: ``the engine``."""

    @property
    def features(self) -> frozenset[Feature]:
        """What it can do that not every engine can."""

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, and its containers see this machine's devices."""

    def close(self) -> None:
        """Close the connection to the engine, if there is one."""

    def require_privileges(self, restart: Callable[[], None]) -> None:
        """Return if this process may run steps and containers; else call ``restart``, which does not return.

        To be called before anything is shown.

        :raises EngineError: this machine and user allow neither.
        """

    def require_options(self, options: ContainerOptions) -> None:
        """Return if attached commands can have ``options``; nothing is built for those that cannot.

        :raises UsageError: the engine has not what they ask for; it is named, with what to do instead.
        :raises EngineError: the engine does not answer.
        """

    def checks(self) -> tuple[EngineCheck, ...]:
        """Return what the engine needs of this machine, for `envbuild doctor` to look at."""

    def find_target(self, request: BuildRequest) -> BuiltImage | None:
        """Return the image of a target when the engine holds it, whole and as requested."""

    def build(self, request: BuildRequest) -> BuiltImage:
        """Build the image of a target, whether or not the engine holds one.

        :raises BuildFailedError: a step failed; its last lines are the detail.
        :raises EngineError: the engine does not answer, or cannot build.
        """

    def check(self, request: BuildRequest, first: BuiltImage) -> Rebuild:
        """Build the image once more under other conditions and compare the two.

        :raises VerificationError: they differ; every difference is named by layer, file and field.
        """

    def images(self) -> tuple[EngineImage, ...]:
        """Return the images it holds that say envbuild built them, each by all its names, sorted.

        :raises EngineError: the engine does not answer.
        """

    def remove(self, reference: str) -> None:
        """Remove a name, and with its last name the image, and what nothing else needs of it.

        What other images need stays.

        :raises EngineError: there is no such image, a command runs in it, or the engine does not answer.
        """

    def pull(self, image: "RegistryImage") -> ImageFacts:
        """Bring an image of a registry into the engine, by its digest, and give it its ``reference``.

        :raises NetworkError: the registry refuses or is out of reach.
        :raises EngineError: the engine does not answer, or gave the name to another image.
        :raises IntegrityError: the registry sent something else than the image of that digest.
        """

    def push(self, image: BuiltImage) -> str:
        """Push an image unless the registry has it; return its digest there.

        :raises NetworkError: the tag names another image there, or the registry refuses this one.
        """

    def blobs(self, image: BuiltImage) -> "Blobs | None":
        """Return the layers of an image it built; None when it does not keep them on this machine."""

    def stored(
        self, identifier: str, *, platform: "Platform", listings: "ListingCache"
    ) -> "StoredImage | None":
        """Return an image as it is stored, by the engine's ID; None: it holds no such image.

        :raises EngineError: the engine does not answer, or what it gives is not the image of that ID.
        """

    def read_file(self, reference: str, path: str, *, limit: int) -> bytes | None:
        """Return the content of a regular file of an image, or None when there is none at ``path``.

        No process of the image runs, and no link is followed, neither at ``path`` nor at a folder above it.

        :raises EngineError: there is no such image, or the file has more than ``limit`` bytes.
        """
