"""Wheels that bring parts of CUDA: which parts, what their versions tell, what their libraries are called."""

from typing import ClassVar

from pydantic import Field

from envbuild.catalog.cuda import CudaTable
from envbuild.catalog.tables import BUILT_IN, Catalog, CatalogTable, Row
from envbuild.catalog.versions import Number, UpdateVersion, Version, major_of, minor_of, version_key


class Component(Row):
    """One part of CUDA, or a library that is delivered beside it."""

    wheels: dict[Number, str]
    """CUDA major → name of the distribution."""

    sonames: dict[Number, str] = Field(default_factory=dict)
    """CUDA major → name the library is loaded by."""

    sonames_by_version: dict[Number, str] = Field(default_factory=dict)
    """The component's own major → name the library is loaded by, where that is what the name follows."""

    cuda_version: bool = False
    """Whether its version starts with CUDA's ``major.minor``."""

    def soname(self, *, cuda_major: int, version: str) -> str | None:
        """Return the name its library is loaded by, or None where it is not known."""
        own = self.sonames_by_version.get(str(major_of(version)))
        return own or self.sonames.get(str(cuda_major))


class ToolkitVersions(Row):
    """The components of one toolkit update."""

    versions: dict[str, Version]


class ComponentTable(CatalogTable):
    """``data/components.toml``."""

    file: ClassVar[str] = "components"
    components: dict[str, Component]
    toolkits: dict[UpdateVersion, ToolkitVersions]


def component_of_wheel(
    name: str, version: str, catalog: Catalog = BUILT_IN
) -> tuple[str, Component, int] | None:
    """Return what a distribution brings: the component's name, its facts, and the CUDA major it is for.

    None for distributions that bring no part of CUDA, and for empty placeholders of version 0.
    """
    if major_of(_release(version)) == 0:
        return None
    for component, row in catalog.table(ComponentTable).components.items():
        for cuda_major, wheel in row.wheels.items():
            if wheel == name:
                # the names without a suffix go on with majors to come; their version then tells which
                newer = (
                    major_of(_release(version)) if row.cuda_version and not name.endswith(cuda_major) else 0
                )
                return component, row, max(int(cuda_major), newer)
    return None


def toolkits_of_runtime(version: str, catalog: Catalog = BUILT_IN) -> tuple[str, ...]:
    """Return the toolkit updates that have this version of the runtime library: none, one or several."""
    rows = catalog.table(CudaTable).toolkits
    return tuple(sorted((update for update, row in rows.items() if row.runtime == version), key=version_key))


def toolkits_of_versions(versions: dict[str, str], catalog: Catalog = BUILT_IN) -> tuple[str, ...]:
    """Return the toolkit updates that have all these versions, by component name: none, one or several.

    Components an update does not list say nothing about it.
    """
    rows = catalog.table(ComponentTable).toolkits
    return tuple(
        sorted(
            (
                update
                for update, row in rows.items()
                if any(name in row.versions for name in versions)
                and all(row.versions.get(name, version) == version for name, version in versions.items())
            ),
            key=version_key,
        )
    )


def cuda_of_component(version: str) -> str:
    """Return CUDA's ``major.minor`` of a component whose version tells it."""
    return minor_of(_release(version))


def _release(version: str) -> str:
    """Return the numbers a Python version starts with."""
    numbers = version.partition("+")[0]
    kept = []
    for part in numbers.split("."):
        if not part.isdecimal():
            break
        kept.append(part)
    return ".".join(kept) or "0"
