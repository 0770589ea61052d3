"""CUDA toolkits: the drivers they came with and need, and the GPUs they make code for."""

from typing import ClassVar

from pydantic import Field

from envbuild.catalog.capability import ComputeCapability, capabilities
from envbuild.catalog.tables import BUILT_IN, CapabilityList, Catalog, CatalogTable, Row
from envbuild.catalog.versions import (
    MinorVersion,
    Number,
    UpdateVersion,
    Version,
    major_of,
    minor_of,
    reaches,
    version_key,
)
from envbuild.values import Value


class Major(Row):
    """What holds for all minor versions of a CUDA major."""

    minimum_driver: Version
    """Oldest driver (Linux) that runs any of them, by minor-version compatibility."""


class Minor(Row):
    """One ``major.minor`` of CUDA."""

    branch: int | None = None
    """Driver branch whose own version it is; None where none was published."""


class Toolkit(Row):
    """One update of a toolkit: ``12.6.3``."""

    driver: Version | None = None
    """Driver (Linux, x86_64) packaged with it."""

    runtime: Version | None = None
    """Version of the runtime library in it: that of nvidia-cuda-runtime and of package cuda-cudart."""


class Architectures(Row):
    """What nvcc makes code for."""

    capabilities: CapabilityList


class Generation(Row):
    """GPUs NVIDIA treats alike."""

    capabilities: CapabilityList
    last_cuda_major: int | None = None
    last_branch: int | None = None
    """Last driver branch that drives them; None while they are still driven."""


class CudaTable(CatalogTable):
    """``data/cuda.toml``."""

    file: ClassVar[str] = "cuda"
    majors: dict[Number, Major]
    minors: dict[MinorVersion, Minor]
    toolkits: dict[UpdateVersion, Toolkit]
    architectures: dict[MinorVersion, Architectures]
    generations: dict[str, Generation]


class CudaDriver(Value):
    """The drivers that matter for a CUDA version, on Linux."""

    cuda: str
    """``major.minor``."""

    branch: int | None
    """First driver branch of that very version: older ones run it by minor-version compatibility only."""

    toolkit: str | None
    """First driver of that branch packaged with a toolkit; None where only the branch is published."""

    packaged: str | None
    """Driver packaged with the update that was asked for."""

    minimum: str
    """Oldest driver that runs it at all: minor-version compatibility."""

    is_known: bool
    """False for a version newer than the catalogue, or in a gap of it: then only ``minimum`` is known."""

    sources: tuple[str, ...] = Field(default=())

    @property
    def full(self) -> str | None:
        """The oldest driver that knows this version wholly, PTX included, as exactly as it is known."""
        return self.toolkit or (None if self.branch is None else str(self.branch))


def driver_for(cuda: str, catalog: Catalog = BUILT_IN) -> CudaDriver | None:
    """Return the drivers of CUDA ``major.minor`` or ``major.minor.update``, or None for an unknown major."""
    table = catalog.table(CudaTable)
    major = table.majors.get(str(major_of(cuda)))
    if major is None:
        return None
    wanted = minor_of(cuda)
    minor = table.minors.get(wanted)
    update = table.toolkits.get(cuda)
    branch = minor.branch if minor else None
    packaged = sorted(
        (
            toolkit.driver
            for version, toolkit in table.toolkits.items()
            if minor_of(version) == wanted and toolkit.driver
        ),
        key=version_key,
    )
    rows = [row for row in (major, minor, update) if row]
    return CudaDriver(
        cuda=wanted,
        branch=branch,
        toolkit=packaged[0] if packaged else None,
        packaged=update.driver if update else None,
        minimum=major.minimum_driver,
        is_known=branch is not None,
        sources=tuple(dict.fromkeys(table.sources[row.source] for row in rows)),
    )


def cuda_of_driver(driver: str, catalog: Catalog = BUILT_IN) -> str | None:
    """Return the CUDA version a driver reports (its own, the highest it knows), or None for one too old."""
    known = [
        version
        for version, minor in catalog.table(CudaTable).minors.items()
        if minor.branch is not None and reaches(driver, str(minor.branch))
    ]
    return max(known, key=version_key, default=None)


def newest_cuda(catalog: Catalog = BUILT_IN) -> str:
    """Return the newest CUDA ``major.minor`` whose driver is in the catalogue."""
    minors = catalog.table(CudaTable).minors
    return max((version for version, minor in minors.items() if minor.branch), key=version_key)


def newest_branch(catalog: Catalog = BUILT_IN) -> int:
    """Return the newest driver branch whose CUDA is in the catalogue."""
    return max(minor.branch or 0 for minor in catalog.table(CudaTable).minors.values())


def architectures_of(cuda: str, catalog: Catalog = BUILT_IN) -> tuple[ComputeCapability, ...] | None:
    """Return what nvcc of this CUDA version makes code for, or None for an unknown major.

    For a minor newer than the catalogue the answer is that of the newest one known of its major: within a
    major capabilities are only ever added.
    """
    wanted = version_key(minor_of(cuda))
    rows = catalog.table(CudaTable).architectures
    fitting = [
        version for version in rows if version_key(version) <= wanted and major_of(version) == wanted[0]
    ]
    if not fitting:
        return None
    return capabilities(rows[max(fitting, key=version_key)].capabilities)


def first_cuda_of(capability: ComputeCapability, catalog: Catalog = BUILT_IN) -> str | None:
    """Return the first CUDA version that makes code for a capability.

    None for an unknown one, and for those that are in the oldest row: they may be older than it.
    """
    rows = catalog.table(CudaTable).architectures
    oldest, *newer = sorted(rows, key=version_key)
    if capability in capabilities(rows[oldest].capabilities):
        return None
    return next(
        (version for version in newer if capability in capabilities(rows[version].capabilities)), None
    )


def generation_of(
    capability: ComputeCapability, catalog: Catalog = BUILT_IN
) -> tuple[str, Generation] | None:
    """Return the name of a capability's generation and its facts, or None for an unknown one."""
    for name, generation in catalog.table(CudaTable).generations.items():
        if capability in capabilities(generation.capabilities):
            return name, generation
    return None
