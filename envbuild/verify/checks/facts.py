"""What a container says of itself: the left side of a comparison by testimony."""

from dataclasses import dataclass
from typing import Literal

from envbuild.verify.checks.codec import CodecError, decode
from envbuild.verify.checks.gpu_facts import GpuFacts

FACTS_FORMAT = 2
"""Goes up when an older reader would misunderstand the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OsFacts:
    """``/etc/os-release`` (os-release(5))."""

    id: str | None
    version_id: str | None
    codename: str | None
    pretty_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LibcFacts:
    """The C library of the process."""

    family: Literal["glibc", "musl"] | None
    version: str | None
    """``major.minor``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """The processor, as the container sees it."""

    machine: str
    """As ``uname -m``."""

    pointer_bits: int
    cpu_count: int
    """Processors this process may run on."""

    cpu_model: str | None
    cpu_level: str | None
    """``x86-64-v1`` … ``x86-64-v4`` (x86-64 psABI), or None on other machines."""

    cpu_features: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterFacts:
    """A Python interpreter."""

    implementation: str
    version: str
    build: str
    """``sys.version``: compiler and build date included."""

    executable: str
    """Real path, symlinks resolved."""

    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFacts:
    """The Python environment the image is made for."""

    prefix: str
    python: InterpreterFacts | None
    """What ``bin/python`` of the prefix really is; None when it cannot be run."""

    reason: str | None
    """Why ``python`` is None."""

    sys_path: tuple[str, ...] | None
    """As that interpreter computes it, site and environment variables included."""

    settings: dict[str, str] | None
    """``pyvenv.cfg``, keys in lower case; None when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """Whom and where the process runs as."""

    uid: int
    gid: int
    user: str | None
    """Name of the uid in the container's account file."""

    groups: tuple[int, ...]
    workdir: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableFacts:
    """Environment variables: values only of those asked for."""

    values: dict[str, str]
    others: tuple[str, ...]
    """Names of the rest; their values never leave the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebFacts:
    """One stanza of the dpkg database."""

    name: str
    version: str
    architecture: str
    status: str
    """``install ok installed``: wanted state, error flag, state (deb822 of dpkg-query(1))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionFacts:
    """One installed Python distribution."""

    name: str
    """Normalised (PEP 503)."""

    version: str | None
    """As its metadata says; None when it says nothing."""

    path: str
    """Of its ``dist-info`` or ``egg-info``."""

    record_sha256: str | None
    installer: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaFacts:
    """One record of ``conda-meta``."""

    name: str
    version: str | None
    build: str | None
    sha256: str | None
    """Of the package file it says it came from."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All a probe says."""

    format: int
    os: OsFacts
    libc: LibcFacts
    machine: MachineFacts
    interpreter: InterpreterFacts
    """The one that runs the probe."""

    environment: EnvironmentFacts
    process: ProcessFacts
    variables: VariableFacts
    debs: tuple[DebFacts, ...] | None
    """None when there is no dpkg database."""

    distributions: tuple[DistributionFacts, ...]
    """In the prefix."""

    outside_distributions: tuple[DistributionFacts, ...]
    """Elsewhere on the environment's ``sys.path``."""

    conda: tuple[CondaFacts, ...] = ()
    """In the prefix."""

    gpu: GpuFacts | None = None
    """None: nobody asked."""


def read_facts(document: object) -> Facts:
    """Return a probe's document as facts.  :raises CodecError: it is none, or of another format."""
    version = document.get("format") if isinstance(document, dict) else None
    if version != FACTS_FORMAT:
        raise CodecError(f"format: facts of format {version!r}, this release reads {FACTS_FORMAT}")
    return decode(Facts, document)
