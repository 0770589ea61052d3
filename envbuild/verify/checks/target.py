"""The part of a target's lock that verification compares with, read from the plain JSON an image carries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envbuild.verify.checks.codec import decode


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
class LockedUser:
    """Whom the image runs as."""

    name: str
    uid: int
    gid: int


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
    env: dict[str, str] = field(default_factory=dict)

    @property
    def python_tag(self) -> str:
        """``3.11``: what folders of the prefix are named after."""
        return ".".join(self.interpreter.version.split(".")[:2])

    @property
    def site_packages(self) -> str:
        """Absolute path of the folder wheels are installed into."""
        return f"{self.prefix}/lib/python{self.python_tag}/site-packages"


def read_target(projection: Mapping[str, Any]) -> LockedTarget:
    """Return the projection of a target (``/etc/envbuild/lock.json``).

    :raises DocumentError: a field is missing or of another type.
    """
    return decode(LockedTarget, projection)
