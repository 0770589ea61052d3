"""The lock that an image carries: a target's projection, read from bytes that anybody may have put there.

Checked is what a comparison reads (:mod:`envbuild.lock.diff`).  Other fields may be there: an earlier or a
later release may have built the image, and all of it counts for the tag.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from envbuild.digest import canonical_json
from envbuild.errors import LockInvalidError
from envbuild.lock.codec import problems_of
from envbuild.values import Value

_Bytes = Annotated[int, Field(ge=0, lt=1 << 63)]

_HINT = "build the image again with `envbuild build`"


class _Carried(Value):
    """JSON as it stands: nothing is converted, and what is not read here is left alone."""

    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=False)


class _CarriedPackage(_Carried):
    name: str
    version: str
    build: str | None = None
    """Of a conda package."""

    sha256: str
    size: _Bytes


class _CarriedDeb(_CarriedPackage):
    architecture: str


class _CarriedConda(_Carried):
    packages: list[_CarriedPackage]


class _CarriedOs(_Carried):
    pretty_name: str


class _CarriedLibc(_Carried):
    family: str
    version: str


class _CarriedImage(_Carried):
    reference: str
    digest: str


class _CarriedDistribution(_Carried):
    distribution: str


class _CarriedBase(_Carried):
    image: _CarriedImage | None = None
    packages: _CarriedDistribution | None = None
    os: _CarriedOs
    libc: _CarriedLibc
    debs: list[str]

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.image is None) == (self.packages is None):
            raise ValueError("must have either an image or packages")
        return self


class _CarriedInterpreter(_Carried):
    version: str
    path: str
    provider: str


class _CarriedInstaller(_Carried):
    name: str
    version: str


class _CarriedUser(_Carried):
    name: str
    uid: int
    gid: int


class _CarriedLibrary(_Carried):
    name: str
    soname: str
    version: str
    provider: str


class _CarriedArchitectures(_Carried):
    role: str
    cubins: dict[str, int] = Field(default_factory=dict)
    ptx: dict[str, int] = Field(default_factory=dict)


class _CarriedVerdict(_Carried):
    target: str
    ok: bool
    reason: str


class _CarriedGpu(_Carried):
    vendor: str
    runtime: str | None = None
    toolkit: str | None = None
    driver_minimum: str | None = None
    image: str | None = None
    libraries: list[_CarriedLibrary] = Field(default_factory=list)
    architectures: list[_CarriedArchitectures] = Field(default_factory=list)
    fleet: list[_CarriedVerdict] = Field(default_factory=list)


class _CarriedTarget(_Carried):
    format: int
    variant: str
    platform: str
    base: _CarriedBase
    interpreter: _CarriedInterpreter
    prefix: str
    installer: _CarriedInstaller
    debs: list[_CarriedDeb]
    wheels: list[_CarriedPackage]
    conda: _CarriedConda | None = None
    env: dict[str, str]
    gpu: _CarriedGpu | None = None
    user: _CarriedUser
    workdir: str
    command: list[str]


def read_projection(data: bytes) -> Mapping[str, Any]:
    """Return the projection that ``data`` holds, as it stands there.

    :raises LockInvalidError: it is not JSON, or a field is wrong; all problems at once.
    """
    try:
        document = json.loads(data)
        canonical_json(
            document
        )  # what the tag is taken over: no half of a surrogate pair, no depth without end
    except (ValueError, RecursionError) as error:
        raise LockInvalidError("the lock is not JSON that envbuild writes", hint=_HINT) from error
    try:
        _CarriedTarget.model_validate(document)
    except ValidationError as error:
        raise LockInvalidError("the lock is not valid", hint=_HINT, problems=problems_of(error)) from error
    projection: Mapping[str, Any] = document
    return projection
