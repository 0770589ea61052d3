"""Core metadata of a distribution: what a METADATA file says of requirements and licence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from email.policy import compat32
from typing import Final

LONGEST_LICENSE: Final = 100
"""Characters; longer ``License`` fields hold the licence's own text instead of its name."""

_NO_LICENSE = {"", "unknown", "none"}
_NOT_A_NAME = {"License", "OSI Approved", "DFSG approved"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelMetadata:
    """What envbuild needs of the core metadata of a wheel."""

    name: str | None = None
    """As the wheel spells it."""

    version: str | None = None
    requires: tuple[str, ...] = ()
    """``Requires-Dist`` lines as the wheel states them."""

    requires_python: str | None = None
    license: str | None = None


def headers_of(raw: bytes) -> bytes:
    """Return METADATA without the description that follows its headers."""
    head, _, _ = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    return head + b"\n"


def parse_metadata(raw: bytes) -> WheelMetadata:
    """Return what envbuild needs of a METADATA file (core metadata specification, any version)."""
    message = HeaderParser(policy=compat32).parsestr(headers_of(raw).decode(errors="replace"))
    requires_python = message.get("Requires-Python")
    return WheelMetadata(
        name=_stripped(message.get("Name")),
        version=_stripped(message.get("Version")),
        requires=tuple(" ".join(line.split()) for line in message.get_all("Requires-Dist", ())),
        requires_python=_stripped(requires_python),
        license=license_of(
            expression=message.get("License-Expression"),
            text=message.get("License"),
            classifiers=message.get_all("Classifier", ()),
        ),
    )


def _stripped(field: str | None) -> str | None:
    return str(field).strip() or None if field else None


def license_of(*, expression: str | None, text: str | None, classifiers: Sequence[str]) -> str | None:
    """Return the licence in one line: SPDX expression, else licence field, else names of classifiers."""
    if expression and expression.strip():
        return expression.strip()
    line = (text or "").strip()
    if line.lower() not in _NO_LICENSE and "\n" not in line and len(line) <= LONGEST_LICENSE:
        return line
    return ", ".join(_license_classifiers(classifiers)) or None


def _license_classifiers(classifiers: Iterable[str]) -> list[str]:
    paths = [[part.strip() for part in classifier.split("::")] for classifier in classifiers]
    return sorted({path[-1] for path in paths if path[0] == "License" and path[-1] not in _NOT_A_NAME})
