"""The part of a target's lock that verification compares with, read from the plain JSON an image carries."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from envbuild.lock.tracker_variables import tracker_variables
from envbuild.verify.checks.codec import decode
from envbuild.verify.checks.gpu_facts import Vendor

FRAMEWORKS = ("jax", "tensorflow", "torch")
"""Wheels that can be imported under their own name to compute something on a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOs:
    """What ``/etc/os-release`` of the base says."""

    id: str
    pretty_name: str
    version_id: str | None = None
    codename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedLibc:
    """The C library of the base."""

    family: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedImage:
    """The image a base was taken from."""

    reference: str
    diff_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedBase:
    """What the environment stands on."""

    os: LockedOs
    libc: LockedLibc
    debs: tuple[str, ...] = ()
    """``name=version:architecture`` of an image base's own packages."""

    excludes: tuple[str, ...] = ()
    """dpkg path filters, ``-pattern`` and ``+pattern``, in order."""

    image: LockedImage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedInterpreter:
    """The Python that runs the environment."""

    implementation: str
    version: str
    path: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedDeb:
    """One Debian package file."""

    name: str
    version: str
    architecture: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedWheel:
    """One wheel file."""

    name: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCondaPackage:
    """One conda package file."""

    name: str
    version: str
    build: str
    file: str
    sha256: str
    noarch: str | None = None
    site_packages: str | None = None
    """Of a Python interpreter: its folder for modules, where it is not the usual one."""

    distributions: tuple[str, ...] = ()
    """Python distributions it brings, ``name==version``."""

    link_scripts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedConda:
    """The conda packages of an environment."""

    packages: tuple[LockedCondaPackage, ...]

    @property
    def distributions(self) -> dict[str, str]:
        """Version by name of every Python distribution they bring."""
        lines = (line.partition("==") for package in self.packages for line in package.distributions)
        return {name: version for name, _, version in lines}

    @property
    def runs_scripts(self) -> bool:
        """Whether the build ran link scripts, which may write what no package owns."""
        return any(package.link_scripts for package in self.packages)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedUser:
    """Whom the image runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedLibrary:
    """One library of CUDA or ROCm that the environment should load."""

    name: str
    soname: str
    version: str
    provider: str
    """``wheel nvidia-cudnn-cu13``, ``base``."""

    path: str | None = None
    """Below the prefix, when a wheel brings it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedArchitectures:
    """Architectures one library has device code for."""

    wheel: str
    library: str
    role: Literal["framework", "support"]
    cubins: dict[str, int] = field(default_factory=dict)
    """``sm_75`` → entries of machine code."""

    ptx: dict[str, int] = field(default_factory=dict)
    """``compute_120`` → entries of PTX."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedGpu:
    """CUDA or ROCm."""

    vendor: Vendor
    runtime: str | None = None
    """``major.minor``."""

    majors: tuple[int, ...] = ()
    """Every CUDA major something was built for."""

    image: str = "slim"
    """How much of CUDA or ROCm the base brings; ``slim``: nothing."""

    driver_minimum: str | None = None
    driver_toolkit: str | None = None
    libraries: tuple[LockedLibrary, ...] = ()
    architectures: tuple[LockedArchitectures, ...] = ()

    @property
    def version(self) -> str | None:
        """What it runs on, as far as that is known: ``13.0``, or the highest major alone."""
        return self.runtime or (str(max(self.majors)) if self.majors else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedTarget:
    """All that is compared."""

    name: str
    variant: str
    platform: str
    base: LockedBase
    interpreter: LockedInterpreter
    prefix: str
    user: LockedUser
    workdir: str
    command: tuple[str, ...]
    debs: tuple[LockedDeb, ...] = ()
    """Packages of a bootstrapped base, and system packages."""

    wheels: tuple[LockedWheel, ...] = ()
    conda: LockedConda | None = None
    """None: the environment is a virtual environment of the base's own Python."""

    env: dict[str, str] = field(default_factory=dict)

    tracker_variables: dict[str, str] = field(default_factory=dict)
    """Variables by which the image tells trackers of experiments what it is; no part of a projection."""

    gpu: LockedGpu | None = None
    """None: an environment for CPUs."""

    @property
    def title(self) -> str:
        """``train (gpu, linux/amd64)``."""
        return f"{self.name} ({self.variant}, {self.platform})"

    @property
    def variables(self) -> dict[str, str]:
        """Every variable of the image."""
        return {**self.env, **self.tracker_variables}

    @property
    def gpu_libraries(self) -> dict[str, str | None]:
        """Libraries of CUDA or ROCm to look for: soname → absolute path, None for those of the base."""
        found: dict[str, str | None] = {}
        for library in self.gpu.libraries if self.gpu else ():
            found.setdefault(library.soname, f"{self.prefix}/{library.path}" if library.path else None)
        return found

    @property
    def frameworks(self) -> tuple[str, ...]:
        """Locked frameworks that compute on GPUs and can be asked to."""
        of_conda = self.conda.distributions if self.conda else {}
        names = {*of_conda, *(wheel.name for wheel in self.wheels)}
        return tuple(name for name in FRAMEWORKS if name in names)

    @property
    def python_tag(self) -> str:
        """``3.11``: what folders of the prefix are named after."""
        return ".".join(self.interpreter.version.split(".")[:2])

    @property
    def site_packages(self) -> str:
        """Absolute path of the folder wheels are installed into."""
        return f"{self.prefix}/{self.conda_site_packages or f'lib/python{self.python_tag}/site-packages'}"

    @property
    def conda_site_packages(self) -> str | None:
        """The folder conda's Python says it has for modules, below the prefix, where it is not the usual."""
        packages = self.conda.packages if self.conda else ()
        return next((package.site_packages for package in packages if package.name == "python"), None)


def read_target(projection: Mapping[str, Any], digest: str) -> LockedTarget:
    """Return the projection of a target (``/etc/envbuild/lock.json``), whose digest is ``digest``.

    :raises DocumentError: a field is missing or of another type.
    """
    target = decode(LockedTarget, projection)
    return replace(target, tracker_variables=tracker_variables(projection, digest))
