"""Frameworks: what they want of the system where no wheel brings CUDA, and what their builds run on."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, TypeVar

from pydantic import Field

from envbuild.catalog.capability import ComputeCapability, capabilities
from envbuild.catalog.tables import BUILT_IN, CapabilityList, Catalog, CatalogTable, Row
from envbuild.catalog.versions import MinorVersion, Version, version_key
from envbuild.values import Value

_RELEASE = re.compile(r"[0-9]+(?:\.[0-9]+)*")


class SystemCudaRow(Row):
    """From one version of a framework on."""

    cuda: Version
    cudnn: Version | None = None
    brought_by: str | None = None


class SystemCudaRows(Value):
    """All rows of a framework."""

    last: Version
    since: Annotated[dict[Version, SystemCudaRow], Field(alias="from")]


class BuildRow(Row):
    """From one version of a build on."""

    cuda: MinorVersion
    capabilities: CapabilityList
    ptx: CapabilityList = ""


class BuildRows(Value):
    """All rows of one build of a framework."""

    last: Version
    since: Annotated[dict[Version, BuildRow], Field(alias="from")]


class Alternative(Row):
    """What to take in place of a distribution to stay on an older CUDA."""

    take: str
    instead_of: str
    """What a person has written to get the distribution."""

    cuda: MinorVersion


class FrameworkTable(CatalogTable):
    """``data/frameworks.toml``."""

    file: ClassVar[str] = "frameworks"
    system_cuda: dict[str, SystemCudaRows]
    builds: dict[str, dict[str, BuildRows]]
    alternatives: dict[str, Alternative]


class SystemCuda(Value):
    """What a framework loads from the system."""

    cuda: str
    """``major.minor``, or the major alone where any minor does."""

    cudnn: str | None
    """``8.9`` or the major alone; None where it needs none."""

    is_known: bool
    """False for a version newer than the catalogue: then this is what the newest known one wants."""

    source: str


class FrameworkBuild(Value):
    """One build of a framework."""

    framework: str
    build: str
    """``default`` for the build of the Python index, else its local version: ``cu126``."""

    since: str
    """First version it holds for."""

    until: str | None
    """First version it no longer holds for; None for the newest row, which holds up to ``last``."""

    last: str
    """Newest version of this build that was looked at."""

    cuda: str
    cubins: tuple[ComputeCapability, ...]
    ptx: tuple[ComputeCapability, ...]
    source: str


R = TypeVar("R", bound=Row)


def system_cuda_of(
    name: str, version: str, extras: Collection[str] = (), catalog: Catalog = BUILT_IN
) -> SystemCuda | None:
    """Return what a distribution wants of the system, or None if that is nothing or its wheels bring it.

    ``name`` and ``extras`` are normalised (PEP 503, PEP 685).
    """
    table = catalog.table(FrameworkTable)
    rows = table.system_cuda.get(name)
    row = _row_for(version, rows.since) if rows else None
    if rows is None or row is None or (row.brought_by and row.brought_by in extras):
        return None
    return SystemCuda(
        cuda=row.cuda,
        cudnn=row.cudnn,
        is_known=_release(version)[: len(version_key(rows.last))] <= version_key(rows.last),
        source=table.sources[row.source],
    )


def builds_of(name: str, catalog: Catalog = BUILT_IN) -> tuple[FrameworkBuild, ...]:
    """Return every known build of a framework, oldest first; empty for one the catalogue does not know."""
    table = catalog.table(FrameworkTable)
    found = []
    for build, rows in table.builds.get(name, {}).items():
        versions = sorted(rows.since, key=version_key)
        for position, version in enumerate(versions):
            row = rows.since[version]
            found.append(
                FrameworkBuild(
                    framework=name,
                    build=build,
                    since=version,
                    until=versions[position + 1] if position + 1 < len(versions) else None,
                    last=rows.last,
                    cuda=row.cuda,
                    cubins=capabilities(row.capabilities),
                    ptx=capabilities(row.ptx),
                    source=table.sources[row.source],
                )
            )
    return tuple(sorted(found, key=lambda build: (version_key(build.since), build.build)))


def alternative_to(name: str, catalog: Catalog = BUILT_IN) -> Alternative | None:
    """Return what can be taken in place of a distribution to stay on an older CUDA, if something is known."""
    return catalog.table(FrameworkTable).alternatives.get(name)


def _row_for(version: str, rows: Mapping[str, R]) -> R | None:
    wanted = _release(version)
    fitting = [since for since in rows if version_key(since) <= wanted]
    return rows[max(fitting, key=version_key)] if fitting else None


def _release(version: str) -> tuple[int, ...]:
    """Return the release numbers of a Python version; pre-, post- and local parts do not matter here."""
    found = _RELEASE.match(version)
    return version_key(found[0]) if found else (0,)
