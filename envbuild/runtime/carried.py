"""Access to the carried wheels of envbuild-runtime: every version that a lock may name.

They are never asked of an index: any index could have a project of that name.  A released version stays here
for ever, so that later releases build older locks.  ``scripts/runtime-wheel`` writes the folder.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from envbuild.digest import SHA256_HEX, sha256_bytes
from envbuild.errors import IntegrityError

REQUIRES_PYTHON: Final = ">=3.8"

_FOLDER: Final = Path(__file__).parent / "wheels"
_LIST: Final = "carried.sha256"
_FILE: Final = re.compile(
    r"envbuild_runtime-(?P<major>[0-9]+)\.(?P<minor>[0-9]+)\.(?P<micro>[0-9]+)-py3-none-any\.whl"
)
_HINT: Final = "install envbuild again"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedWheel:
    """One wheel that lies in this package."""

    file: str
    """File name, as a lock has it."""

    version: str
    size: int
    """Bytes."""

    sha256: str
    """64 hexadecimal digits."""


@cache
def carried_wheels() -> tuple[CarriedWheel, ...]:
    """Return all carried wheels, oldest version first.

    :raises IntegrityError: when the list of them, or one of them, is missing or damaged.
    """
    try:
        lines = (_FOLDER / _LIST).read_text("ascii").splitlines()
        wheels = [_wheel(line) for line in lines]
    except (OSError, ValueError) as error:
        raise IntegrityError("the wheels that envbuild carries cannot be read", hint=_HINT) from error
    return tuple(sorted(wheels, key=lambda wheel: _order(wheel.file)))


def newest_wheel() -> CarriedWheel:
    """Return the wheel of the newest version, which new locks get.  :raises IntegrityError: see above."""
    return carried_wheels()[-1]


def carried_wheel(file: str) -> CarriedWheel | None:
    """Return a carried wheel by its file name; None if this release carries no such wheel."""
    return next((wheel for wheel in carried_wheels() if wheel.file == file), None)


def read_wheel(file: str) -> bytes:
    """Return the bytes of a carried wheel, compared with its sha256.

    :raises IntegrityError: when there is no such wheel, or its bytes are not what they must be.
    """
    wheel = carried_wheel(file)
    if wheel is None:
        raise IntegrityError(
            f"this release of envbuild carries no {file}",
            hint="a newer release carries every older wheel, too",
        )
    try:
        content = (_FOLDER / wheel.file).read_bytes()
    except OSError as error:
        raise IntegrityError(f"{file}, which envbuild carries, cannot be read", hint=_HINT) from error
    if sha256_bytes(content) != wheel.sha256:
        raise IntegrityError(f"{file}, which envbuild carries, is damaged", hint=_HINT)
    return content


def _wheel(line: str) -> CarriedWheel:
    digest, _, file = line.partition("  ")
    if _FILE.fullmatch(file) is None or SHA256_HEX.fullmatch(digest) is None:
        raise ValueError(line)
    version = ".".join(str(part) for part in _order(file))
    return CarriedWheel(file=file, version=version, size=(_FOLDER / file).stat().st_size, sha256=digest)


def _order(file: str) -> tuple[int, ...]:
    found = _FILE.fullmatch(file)
    return tuple(int(part) for part in found.groups()) if found else ()
