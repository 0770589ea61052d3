"""Driver branches: how long they are kept up, and what lifts one to a newer CUDA."""

from typing import ClassVar, Literal

from envbuild.catalog.tables import BUILT_IN, Catalog, CatalogTable, Row
from envbuild.catalog.versions import MinorVersion, Month, Number, major_of, minor_of

Lift = Literal["lifts", "not-needed", "too-old", "unsupported"]
"""What package cuda-compat does on a branch: lift it to its CUDA version; nothing, for the branch has it; it
is older than the branch and must not be used; or nothing is promised, for the branch is past its life or a
short one."""


class DriverBranch(Row):
    """One branch of drivers, such as 580."""

    kind: Literal["LTS", "production", "new-feature"]
    end_of_life: Month
    """Month in which support ends: ``2028-06``."""


class ForwardCompatibility(Row):
    """One package cuda-compat-X-Y."""

    branches: tuple[int, ...]
    """Branches it lifts."""

    own_branch: int | None = None
    """The branch that has its version by itself."""


class DriverTable(CatalogTable):
    """``data/drivers.toml``."""

    file: ClassVar[str] = "drivers"
    branches: dict[Number, DriverBranch]
    forward_compatibility: dict[MinorVersion, ForwardCompatibility]


def compat_package(cuda: str) -> str:
    """Return the name of the package that lifts a driver to a CUDA version."""
    return f"cuda-compat-{minor_of(cuda).replace('.', '-')}"


def lift_of(cuda: str, driver: str, catalog: Catalog = BUILT_IN) -> Lift | None:
    """Return what cuda-compat of a CUDA version does on a driver, or None where no table tells."""
    row = catalog.table(DriverTable).forward_compatibility.get(minor_of(cuda))
    if row is None:
        return None
    branch = major_of(driver)
    newest = row.own_branch or max(row.branches, default=branch)
    if branch in row.branches:
        return "lifts"
    if branch == row.own_branch:
        return "not-needed"
    return "too-old" if branch > newest else "unsupported"
