"""Conda packages of a lock that have newer versions in their channels.  Packages are not fetched."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from envbuild.errors import NoSolutionError
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Base
from envbuild.resolve.conda.resolve import CondaResolver
from envbuild.resolve.outdated.model import PackageUpdate
from envbuild.spec.request import VariantRequest


def conda_updates(
    resolver: CondaResolver, request: VariantRequest, base: Base, packages: Sequence[CondaPackage]
) -> tuple[PackageUpdate, ...]:
    """Return what the channels have of ``packages``, and what solving again would choose.

    :raises NetworkError: a channel cannot be read.
    """
    note: tuple[str, ...] = ()
    allowed: Mapping[str, str] | None = None
    try:
        allowed = {record["name"]: record["version"] for record in resolver.choose(request, base)}
    except NoSolutionError as error:
        note = (f"solving again: {error.message}",)
    newest = _newest(resolver.offered(request, base, [package.name for package in packages]))
    return tuple(
        PackageUpdate(
            kind="conda",
            name=package.name,
            locked=package.version,
            allowed=allowed.get(package.name) if allowed is not None else None,
            newest=_later(newest.get(package.name), package.version),
            notes=note,
        )
        for package in packages
    )


def _newest(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the newest version of each package; pre-releases have channels of their own labels."""
    found: dict[str, str] = {}
    for record in records:
        name, version = str(record["name"]), str(record["version"])
        found[name] = str(_later(version, found.get(name, version)))
    return found


def _later(one: str | None, other: str) -> str | None:
    from rattler import Version  # noqa: PLC0415 - a library of Rust that conda environments alone need

    return one if one is None or Version(one) > Version(other) else other
