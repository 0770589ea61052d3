"""Holes and contradictions in the catalogue.  What one table needs of another is in ``check_rules.py``."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from envbuild.catalog.check_rules import RULES, Flaw
from envbuild.catalog.components import ComponentTable
from envbuild.catalog.cuda import CudaTable
from envbuild.catalog.cuda_images import CudaImageTable
from envbuild.catalog.distributions import DistributionTable
from envbuild.catalog.drivers import DriverTable
from envbuild.catalog.frameworks import FrameworkTable
from envbuild.catalog.gpus import GpuModelTable
from envbuild.catalog.rocm import RocmTable
from envbuild.catalog.tables import Catalog, CatalogTable, read_data

TABLES: Final[tuple[type[CatalogTable], ...]] = (
    DistributionTable,
    CudaTable,
    DriverTable,
    GpuModelTable,
    CudaImageTable,
    ComponentTable,
    FrameworkTable,
    RocmTable,
)

_SOURCES_OF_WHOLE_FILES: Final = frozenset({"images", "policy"})
"""Sources of sections whose rows have no room for one, and of what comments say."""


def check(catalog: Catalog) -> tuple[Flaw, ...]:
    """Return everything that is wrong with a catalogue, sorted."""
    broken = tuple(_malformed(catalog))
    if broken:
        # what is not well formed cannot be compared
        return tuple(sorted(broken))
    found = [
        flaw for table in TABLES for flaw in _sources(catalog.table(table), whole=not catalog.is_updated)
    ]
    for rule in RULES:
        found.extend(rule(catalog))
    excused = known_holes()
    found += [
        Flaw(where, "contradiction", "it is declared a hole, and is none")
        for where in excused
        if not catalog.is_updated and where not in {flaw.where for flaw in found if flaw.kind == "hole"}
    ]
    return tuple(sorted(flaw for flaw in set(found) if flaw.kind != "hole" or flaw.where not in excused))


def known_holes() -> Mapping[str, str]:
    """Return the holes the built-in catalogue declares: place → why."""
    holes: Mapping[str, str] = read_data("catalog")["known-holes"]
    return holes


def _malformed(catalog: Catalog) -> Iterator[Flaw]:
    for table in TABLES:
        try:
            catalog.table(table)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                where = " ".join(str(part) for part in (table.file, *problem["loc"]))
                yield Flaw(where, "contradiction", problem["msg"].removeprefix("Value error, "))


def _sources(table: CatalogTable, *, whole: bool) -> Iterator[Flaw]:
    """Yield what is wrong with sources; ``whole`` says that no rows were replaced, so that all are needed."""
    file = table.file
    named = set(_named_sources(table.model_dump(exclude={"sources"})))
    for source in sorted(named - set(table.sources)):
        yield Flaw(f"{file} sources", "hole", f"`{source}` is named by a row and not listed")
    for source in sorted(set(table.sources) - named - _SOURCES_OF_WHOLE_FILES) if whole else ():
        yield Flaw(f"{file} sources", "contradiction", f"`{source}` is listed and no row names it")


def _named_sources(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("source"), str):
            yield value["source"]
        for below in value.values():
            yield from _named_sources(below)
    elif isinstance(value, (list, tuple)):
        for below in value:
            yield from _named_sources(below)
