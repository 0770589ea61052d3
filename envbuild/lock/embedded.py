"""The lock that an image carries: a target's projection, read from bytes that anybody may have put there.

Checked is what a comparison reads (:mod:`envbuild.lock.diff`).  Other fields may be there: an earlier or a
later release may have built the image, and all of it counts for the tag.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from envbuild.digest import canonical_json
from envbuild.errors import LockInvalidError
from envbuild.formats.json_text import parse_json
from envbuild.lock.codec import problems_of
from envbuild.values import Value

_Bytes = Annotated[int, Field(ge=0, lt=1 << 63)]

_HINT = "build the image again with `envbuild build`"


class _Embedded(Value):
    """JSON as it stands: nothing is converted, and what is not read here is left alone."""

    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=False)


class _EmbeddedPackage(_Embedded):
    name: str
    version: str
    build: str | None = None
    """Of a conda package."""

    sha256: str
    size: _Bytes


class _EmbeddedDeb(_EmbeddedPackage):
    architecture: str


class _EmbeddedConda(_Embedded):
    packages: list[_EmbeddedPackage]


class _EmbeddedOs(_Embedded):
    pretty_name: str


class _EmbeddedLibc(_Embedded):
    family: str
    version: str


class _EmbeddedImage(_Embedded):
    reference: str
    digest: str


class _EmbeddedDistribution(_Embedded):
    distribution: str


class _EmbeddedBase(_Embedded):
    image: _EmbeddedImage | None = None
    packages: _EmbeddedDistribution | None = None
    os: _EmbeddedOs
    libc: _EmbeddedLibc
    debs: list[str]

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.image is None) == (self.packages is None):
            raise ValueError("must have either an image or packages")
        return self


class _EmbeddedInterpreter(_Embedded):
    version: str
    path: str
    provider: str


class _EmbeddedInstaller(_Embedded):
    name: str
    version: str


class _EmbeddedUser(_Embedded):
    name: str
    uid: int
    gid: int


class _EmbeddedLibrary(_Embedded):
    name: str
    soname: str
    version: str
    provider: str


class _EmbeddedArchitectures(_Embedded):
    role: str
    cubins: dict[str, int] = Field(default_factory=dict)
    ptx: dict[str, int] = Field(default_factory=dict)


class _EmbeddedVerdict(_Embedded):
    target: str
    ok: bool
    reason: str


class _EmbeddedGpu(_Embedded):
    vendor: str
    runtime: str | None = None
    toolkit: str | None = None
    driver_minimum: str | None = None
    image: str | None = None
    libraries: list[_EmbeddedLibrary] = Field(default_factory=list)
    architectures: list[_EmbeddedArchitectures] = Field(default_factory=list)
    fleet: list[_EmbeddedVerdict] = Field(default_factory=list)


class _EmbeddedTarget(_Embedded):
    format: int
    variant: str
    platform: str
    base: _EmbeddedBase
    interpreter: _EmbeddedInterpreter
    prefix: str
    installer: _EmbeddedInstaller
    debs: list[_EmbeddedDeb]
    wheels: list[_EmbeddedPackage]
    conda: _EmbeddedConda | None = None
    env: dict[str, str]
    gpu: _EmbeddedGpu | None = None
    user: _EmbeddedUser
    workdir: str
    command: list[str]


def read_projection(data: bytes) -> Mapping[str, Any]:
    """Return the projection that ``data`` holds, as it stands there.

    :raises LockInvalidError: it is not JSON, or a field is wrong; all problems at once.
    """
    try:
        document = parse_json(data)
        # what the tag is taken over: no half of a surrogate pair, no depth without end
        canonical_json(document)
    except (ValueError, RecursionError) as error:
        raise LockInvalidError("the lock is not JSON that envbuild writes", hint=_HINT) from error
    try:
        _EmbeddedTarget.model_validate(document)
    except ValidationError as error:
        raise LockInvalidError("the lock is not valid", hint=_HINT, problems=problems_of(error)) from error
    projection: Mapping[str, Any] = document
    return projection
