"""Order of dotted version numbers: of CUDA, of drivers, of cuDNN.  Those of Python are PEP 440's."""

import re
from typing import Annotated

from pydantic import StringConstraints

Version = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}(\.[0-9]{1,5})*$")]
"""Numbers with dots between them."""

MinorVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}\.[0-9]{1,3}$")]
"""``major.minor``."""

UpdateVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$")]
"""``major.minor.update``."""

Number = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}$")]
"""A whole number as a key of a table: a major, or a driver branch."""

Month = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
"""``2028-06``."""

_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def is_version(text: str) -> bool:
    """Return whether ``text`` is numbers with dots between them."""
    return _NUMBERS.fullmatch(text) is not None


def version_key(version: str) -> tuple[int, ...]:
    """Return what dotted numbers sort by: ``535.104.05`` is after ``535.86.09``.

    :raises ValueError: it is not dotted numbers.
    """
    if not is_version(version):
        raise ValueError(f"`{version}` is not a version number")
    return tuple(int(part) for part in version.split("."))


def reaches(version: str, wanted: str) -> bool:
    """Return whether ``version`` is at least ``wanted``, as far as both are written out.

    ``525`` reaches ``525.60.13``: whoever names a driver by its branch means a release that is fit for use.
    """
    have, want = version_key(version), version_key(wanted)
    length = min(len(have), len(want))
    return have[:length] >= want[:length]


def minor_of(version: str) -> str:
    """Return ``major.minor`` of a version that may say more."""
    return ".".join(version.split(".")[:2])


def major_of(version: str) -> int:
    """Return the first number of a version."""
    return version_key(version)[0]
