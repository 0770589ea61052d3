"""The types of ``envbuild.lock``.

Every artifact stands once; targets (variant × platform) refer to it by a readable key.  Nothing here names a
mirror's host, reads the clock, or is a digest of the file itself, so two people's additions merge as text.
The file form is in ``codec.py``; docs/reference/lock.md explains each field.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt, StringConstraints

from envbuild.digest import OciDigest, Sha256
from envbuild.lock.conda import CONDA_PREFIX, CondaPackage
from envbuild.lock.data import LockedData
from envbuild.lock.gpu import TargetGpu
from envbuild.platforms import PlatformName
from envbuild.spec.request import Request
from envbuild.values import Value

WheelFile = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl$")]
"""A wheel's file name; never a path, for it names files in build contexts and Dockerfiles."""

SourceFile = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*$")]
"""A source archive's file name; never a path."""

DebFile = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]*_[A-Za-z0-9.+:~-]+_[a-z0-9]+\.deb$")
]
"""``name_version_architecture.deb`` with the epoch's colon kept; never a path."""


def _require_below(path: str) -> str:
    if {".", "..", ""} & set(path.split("/")):
        raise ValueError("must be a relative path without `.` and `..`")
    return path


RelativePath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._+!~%:@=/-]+$"), AfterValidator(_require_below)
]
"""A path below an address: relative, without ``..``, of characters that need no quoting."""

STANDALONE = "standalone"
"""Provider of an interpreter that an archive brings, unpacked to ``/opt/python``."""

PREFIX = "/opt/venv"
"""Where the Python environment lives in an image without conda packages."""


class Wheel(Value):
    """One wheel file (binary distribution format, PyPA)."""

    name: str
    """Normalised (PEP 503)."""

    version: str
    """Normalised (PEP 440)."""

    file: WheelFile
    """File name; also the key targets refer to it by."""

    size: PositiveInt
    """Bytes."""

    sha256: Sha256

    hash_source: Literal["index", "computed", "built"] = "index"
    """Who said so: the index; envbuild after fetching the file, because nobody gave a hash; or envbuild after
    building it from source."""

    index: str = "default"
    """Name of the index of the spec it comes from; ``default`` is the client's own, ``envbuild`` envbuild."""

    path: RelativePath | None = None
    """Path of the file below the index's file address where it has a stable one (``packages/…``)."""

    url: str | None = None
    """Address of the file where the spec itself gives it, never with credentials; no index is asked then."""

    uploaded: datetime | None = None
    """When the index received it (PEP 700), UTC."""

    requires_python: str | None = None

    requires: tuple[str, ...] = ()
    """``Requires-Dist`` lines that hold in some target, markers kept, sorted."""

    license: str | None = None
    """SPDX expression (PEP 639) or the text of the licence field or classifiers."""


class Deb(Value):
    """One Debian binary package file."""

    name: str
    version: str
    architecture: str
    """Debian architecture, or ``all``."""

    file: DebFile
    """``name_version_architecture.deb`` with the epoch's colon kept; also the key targets use."""

    size: PositiveInt
    """Bytes."""

    sha256: Sha256

    archive: str
    """Which archive signed it: its Release label in lower case (``debian``, ``debian-security``)."""

    path: RelativePath
    """Path below the archive's address: ``pool/…``."""

    source: str
    """Source package name, with ``(version)`` when it differs: what security trackers speak of."""

    depends: tuple[str, ...] = ()
    """Pre-Depends and Depends relations as the archive states them, one alternative group each."""

    provides: tuple[str, ...] = ()

    essential: bool = False


class OsRelease(Value):
    """What ``/etc/os-release`` says."""

    id: str
    version_id: str | None = None
    codename: str | None = None
    pretty_name: str


class Libc(Value):
    """The C library wheels are loaded by."""

    family: Literal["glibc", "musl"]
    version: str
    """``major.minor``."""


class ImageSource(Value):
    """A base taken from a registry."""

    reference: str
    """As in the spec: registry, repository and tag."""

    index: OciDigest | None = None
    """Digest the tag pointed to, when that was an index of several platforms."""

    digest: OciDigest
    """Digest of this platform's manifest: what images are built from."""

    config: OciDigest
    layers: tuple[OciDigest, ...]
    """Bottom first."""

    diff_ids: tuple[OciDigest, ...]
    """Digests of the uncompressed layers, bottom first: what an engine reports of a local image."""


class PackagesSource(Value):
    """A base bootstrapped from a distribution's packages."""

    distribution: str
    """``debian:bookworm``."""

    debs: tuple[str, ...]
    """Keys of the packages it consists of, sorted."""


class Base(Value):
    """What an environment stands on, for one platform; shared by the targets that name it."""

    key: str
    """``image reference`` or ``distribution`` and the platform: how targets name it."""

    platform: PlatformName
    image: ImageSource | None = None
    packages: PackagesSource | None = None

    created: datetime
    """When the image, or the distribution's point release, was made (UTC)."""

    os: OsRelease
    libc: Libc

    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the base's configuration."""

    users: dict[str, str] = Field(default_factory=dict)
    """``uid:gid`` of each account above the system range (uid ≥ 1000, ``nobody`` left out) and of root."""

    debs: tuple[str, ...] = ()
    """``name=version:architecture`` of every package an image base has installed, sorted."""

    excludes: tuple[str, ...] = ()
    """dpkg ``path-exclude`` (``-pattern``) and ``path-include`` (``+pattern``) rules, in order."""


class PythonArchive(Value):
    """A standalone Python that is laid into the image, where the base has not the wanted one."""

    file: Annotated[str, StringConstraints(pattern=r"^cpython-[A-Za-z0-9._+-]+\.tar\.gz$")]
    """File name; never a path."""

    path: RelativePath
    """Below the address of the releases; each machine knows where that is."""

    size: PositiveInt
    """Bytes."""

    sha256: Sha256


class Interpreter(Value):
    """The Python that runs the environment."""

    implementation: Literal["cpython"] = "cpython"
    version: str
    """``3.11.2``."""

    path: str
    """Absolute, symlinks resolved."""

    provider: str
    """``deb python3.11-minimal`` when dpkg owns it, ``standalone`` for an archive, else ``image``."""

    sha256: Sha256 | None = None
    """Of the executable, where it could be read without installing anything."""

    archive: PythonArchive | None = None
    """What brings it; None: the base or its packages."""


class CondaInstaller(Value):
    """What lays conda packages down during a build; not part of the environment."""

    wheel: WheelFile
    """File name of the py-rattler wheel."""

    interpreter: Interpreter
    """The base's own Python, which runs it."""


class WheelSource(Value):
    """What a wheel is built from, and with what; the wheel itself is an artifact like any other."""

    wheel: WheelFile
    """File name of the wheel; also the key."""

    file: SourceFile
    """File name of the source archive."""

    size: PositiveInt
    """Bytes of the archive."""

    sha256: Sha256
    """Of the archive; of a commit, of its content in one canonical form."""

    hash_source: Literal["index", "computed"] = "index"

    index: str = "default"
    """Name of the index it comes from."""

    path: RelativePath | None = None
    """Path of the archive below the index's file address where it has a stable one."""

    url: str | None = None
    """Address of the archive or of the repository where the spec gives it, never with credentials."""

    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")] | None = None
    """Commit of the repository at ``url``; None: an archive."""

    reference: str | None = None
    """Branch, tag or commit that was asked for."""

    described: str | None = None
    """What ``git describe`` said, where versions come from tags; it is part of the content."""

    subdirectory: RelativePath | None = None
    """Folder of the project in it."""

    builder: str
    """Key of the builder."""

    requires: tuple[WheelFile, ...] = ()
    """File names of the wheels it is built with, sorted."""

    contents: tuple[str, ...]
    """``path sha256`` of each file of the wheel, sorted: a build that comes out otherwise is told by file."""


class Builder(Value):
    """What wheels are built on: a base, its Python, and packages laid on it for builds alone."""

    key: str
    """How sources name it."""

    base: str
    """Key of the base."""

    interpreter: Interpreter

    debs: tuple[str, ...] = ()
    """Keys of the packages laid on the base, sorted: compilers and headers."""


class User(Value):
    """Whom the image runs as."""

    name: str
    uid: int
    gid: int


class Target(Value):
    """One variant on one platform: what one image is made of."""

    variant: str
    platform: PlatformName

    base: str
    """Key of the base."""

    interpreter: Interpreter

    installer: str
    """File name of the wheel that installs the others during a build; not part of the image."""

    debs: tuple[str, ...] = ()
    """Keys of the system packages laid on the base, sorted; empty when the base has all that was asked."""

    wheels: tuple[str, ...] = ()
    """File names, sorted."""

    conda: tuple[str, ...] = ()
    """Keys of the conda packages, sorted; empty: a virtual environment of the base's Python."""

    conda_installer: CondaInstaller | None = None
    """What lays them down; None without conda packages."""

    env: dict[str, str]
    """The whole environment of the image: the base's, ours and the spec's."""

    gpu: TargetGpu | None = None
    """None: the environment computes on CPUs."""

    user: User
    workdir: str
    command: tuple[str, ...]

    record: Literal[False] | None = None
    """False: the image has no variables for trackers of experiments."""

    @property
    def prefix(self) -> str:
        """Where the Python environment lives in the image."""
        return CONDA_PREFIX if self.conda else PREFIX


class Lock(Value):
    """One environment in all its variants and platforms."""

    tools: dict[str, str] = Field(default_factory=dict)
    """Version of each program and table that had a say: uv, pip-tools, apt, catalog."""

    request: Request
    targets: tuple[Target, ...]
    bases: tuple[Base, ...]
    debs: tuple[Deb, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    conda: tuple[CondaPackage, ...] = ()
    sources: tuple[WheelSource, ...] = ()
    builders: tuple[Builder, ...] = ()

    data: tuple[LockedData, ...] = ()
    """Data and models, sorted by name; no part of any image."""

    def base(self, target: Target) -> Base:
        """Return the base of ``target``."""
        return next(base for base in self.bases if base.key == target.base)

    def wheels_of(self, target: Target) -> tuple[Wheel, ...]:
        """Return the wheels of ``target`` in its order."""
        by_file = {wheel.file: wheel for wheel in self.wheels}
        return tuple(by_file[file] for file in target.wheels)

    def installer_of(self, target: Target) -> Wheel:
        """Return the wheel that installs the others during a build of ``target``."""
        return next(wheel for wheel in self.wheels if wheel.file == target.installer)

    def sources_of(self, target: Target) -> tuple[WheelSource, ...]:
        """Return the sources of the wheels of ``target`` that are built."""
        wheels = set(target.wheels)
        return tuple(source for source in self.sources if source.wheel in wheels)

    def builder_of(self, source: WheelSource) -> Builder:
        """Return what a wheel is built on."""
        return next(builder for builder in self.builders if builder.key == source.builder)

    def build_wheels_of(self, source: WheelSource) -> tuple[Wheel, ...]:
        """Return the wheels that a source is built with, in its order."""
        by_file = {wheel.file: wheel for wheel in self.wheels}
        return tuple(by_file[file] for file in source.requires)

    def conda_of(self, target: Target) -> tuple[CondaPackage, ...]:
        """Return the conda packages of ``target`` in its order."""
        by_key = {package.key: package for package in self.conda}
        return tuple(by_key[key] for key in target.conda)

    def tools_of(self, target: Target) -> tuple[Wheel, ...]:
        """Return the wheels a build of ``target`` uses and does not install."""
        names = {target.installer} | ({target.conda_installer.wheel} if target.conda_installer else set())
        return tuple(wheel for wheel in self.wheels if wheel.file in names)

    def system_debs_of(self, target: Target) -> tuple[Deb, ...]:
        """Return the system packages laid on the base of ``target``."""
        return self._debs(target.debs)

    def base_debs_of(self, base: Base) -> tuple[Deb, ...]:
        """Return the packages a bootstrapped base consists of; empty for an image base."""
        return self._debs(base.packages.debs) if base.packages else ()

    def _debs(self, keys: tuple[str, ...]) -> tuple[Deb, ...]:
        by_file = {deb.file: deb for deb in self.debs}
        return tuple(by_file[key] for key in keys)
