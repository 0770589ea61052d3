"""The catalogue of CUDA, GPUs and images on this machine: read, checked, updated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envbuild.errors import CatalogError, UsageError
from envbuild.workflows.machine import Machine

if TYPE_CHECKING:
    from envbuild.catalog.check_rules import Flaw
    from envbuild.catalog.tables import Catalog
    from envbuild.catalog.update import TagUpdate, Update


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSummary:
    """The tables of the catalogue."""

    version: str
    tables: Mapping[str, int]
    """Number of rows by name."""

    about: Mapping[str, str]
    """What is in each table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRows:
    """Rows of one table."""

    version: str
    table: str
    rows: Sequence[Mapping[str, Any]]
    """Cells by column; all rows have the same columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogCheck:
    """What is wrong with the catalogue."""

    version: str
    flaws: "tuple[Flaw, ...]"
    known_holes: Mapping[str, str]
    """What no public source says, by place, and why it is left open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogUpdate:
    """The catalogue after an update of it."""

    version: str
    file: Path
    """Where the update is kept."""

    tags: "TagUpdate | None"
    """What a registry's list of tags gave; None: no registry was read."""

    def document(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        changed = None
        if self.tags is not None:
            changed = {
                "listed": self.tags.listed,
                "new": list(self.tags.new),
                "gone": list(self.tags.gone),
                "passed-over": self.tags.passed_over,
                "unknown-distributions": list(self.tags.unknown_distributions),
            }
        return {"version": self.version, "file": str(self.file), "tags": changed}


def summarise_catalog(*, machine: Machine | None = None) -> CatalogSummary:
    """Return what tables the catalogue in force has.

    :raises CatalogError: the user's update cannot be used.
    """
    from envbuild.catalog.listing import LISTED

    catalog = _in_force(machine or Machine())
    return CatalogSummary(
        version=catalog.version,
        tables={name: len(list(table.rows(catalog))) for name, table in LISTED.items()},
        about={name: table.about for name, table in LISTED.items()},
    )


def show_table(table: str, words: Sequence[str] = (), *, machine: Machine | None = None) -> CatalogRows:
    """Return the rows of a table that have all ``words`` in them.

    :raises UsageError: there is no such table.
    :raises CatalogError: the user's update cannot be used.
    """
    from envbuild.catalog.listing import LISTED, matching
    from envbuild.spec.problems import near

    if table not in LISTED:
        raise UsageError(
            f"there is no table `{table}`", hint=near(table, LISTED) or f"there are {', '.join(LISTED)}"
        )
    catalog = _in_force(machine or Machine())
    rows = matching(LISTED[table].rows(catalog), tuple(words))
    return CatalogRows(version=catalog.version, table=table, rows=rows)


def check_catalog(*, machine: Machine | None = None) -> CatalogCheck:
    """Return the holes and contradictions in the catalogue in force.

    :raises CatalogError: the user's update cannot be used.
    """
    from envbuild.catalog.check import check, known_holes

    catalog = _in_force(machine or Machine())
    return CatalogCheck(version=catalog.version, flaws=check(catalog), known_holes=known_holes())


def update_catalog(
    file: Path | None = None, *, registry: str = "nvidia/cuda", machine: Machine | None = None
) -> CatalogUpdate:
    """Add rows to the catalogue from a file, or without one from the tags that a repository lists.

    :raises CatalogError: the file is no update, or the catalogue would contradict itself.
    :raises NetworkError: the registry cannot be reached.
    """
    from envbuild.catalog.active import update_path
    from envbuild.catalog.update import combined, read_update, require_sound, write_update
    from envbuild.files.atomic import write_text

    machine = machine or Machine()
    path, catalog = update_path(machine.environment), _in_force(machine)
    kept = read_update(path.read_text("utf-8")) if path.exists() else {}
    tags = None
    if file is None:
        tags = _tags_of(registry, catalog, machine)
        new = tags.update
    else:
        new = _read_file(file)
    everything = combined(kept, new)
    require_sound(everything)
    write_text(path, write_update(everything))
    return CatalogUpdate(version=_in_force(machine).version, file=path, tags=tags)


def reset_catalog(*, machine: Machine | None = None) -> CatalogUpdate:
    """Go back to the catalogue of this release."""
    from envbuild.catalog.active import update_path

    machine = machine or Machine()
    path = update_path(machine.environment)
    path.unlink(missing_ok=True)
    return CatalogUpdate(version=_in_force(machine).version, file=path, tags=None)


def _in_force(machine: Machine) -> "Catalog":
    from envbuild.catalog.active import catalog_in_force

    return catalog_in_force(machine.environment)


def _read_file(file: Path) -> "Update":
    from envbuild.catalog.update import read_update

    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CatalogError(f"{file} is not UTF-8") from error
    try:
        return read_update(text)
    except CatalogError as error:
        raise CatalogError(f"{file}: {error.message}", problems=error.problems) from error


def _tags_of(repository: str, catalog: "Catalog", machine: Machine) -> "TagUpdate":
    from envbuild.catalog.update import update_from_tags
    from envbuild.oci.reference import parse_reference
    from envbuild.remote.registry.client import RegistryClient

    reference = parse_reference(repository)
    tags = RegistryClient(environment=machine.environment).all_tags(reference)
    return update_from_tags(tags, source=reference.name, catalog=catalog)
