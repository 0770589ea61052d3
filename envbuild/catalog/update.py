"""Updates of the catalogue: read, combined, written, and made from a registry's list of tags.  Pure.

An update is TOML in the form of the data files, each under its name: ``[gpus.gpus."NVIDIA X1"]`` is a row of
section ``gpus`` of ``data/gpus.toml``.  Its rows are new, or take the place of those with the same key.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import tomli_w

from envbuild.catalog.check import TABLES, check
from envbuild.catalog.check_rules import Flaw
from envbuild.catalog.cuda_images import CudaImageTable, ParsedTag, cuda_images, parse_tag
from envbuild.catalog.distributions import DistributionTable
from envbuild.catalog.tables import BUILT_IN, Catalog, CatalogTable
from envbuild.catalog.versions import version_key
from envbuild.errors import CatalogError, Problem

Update = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""File → section → key → row."""

MADE_FOR: Final = "made-for"
"""Key of the version of the built-in catalogue an update was laid over."""

FEWEST_TAGS: Final = 100
"""A list of nvidia/cuda with fewer tags is taken for another repository's, or for cut off."""

_UPDATABLE: Final[Mapping[str, type[CatalogTable]]] = {
    table.file: table for table in TABLES if table is not DistributionTable
}
_HEAD: Final = "# Update of envbuild's catalogue.  Written by `envbuild catalog update`.\n\n"


def read_update(text: str) -> Update:
    """Read an update and make sure that the catalogue is sound with it.

    :raises CatalogError: it is not TOML, has other tables or rows than the catalogue, or contradicts it; with
        every problem and its place.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"the update is not TOML: {error}") from error
    document.pop(MADE_FOR, None)
    problems = tuple(_misplaced(document))
    if problems:
        raise CatalogError("the update does not have the form of the catalogue", problems=problems)
    require_sound(document)
    return document


def require_sound(update: Update) -> None:
    """Raise if the catalogue contradicts itself with ``update``; holes are no reason.

    :raises CatalogError: with every contradiction.
    """
    wrong = [flaw for flaw in check(Catalog(update)) if flaw.kind == "contradiction" or _of_form(flaw)]
    if wrong:
        raise CatalogError(
            "the update contradicts the catalogue",
            problems=tuple(Problem(flaw.where, flaw.message) for flaw in wrong),
        )


def _of_form(flaw: Flaw) -> bool:
    """Whether a hole keeps the catalogue from being read: a source or a distribution that is not there."""
    return flaw.where.endswith(" sources") or "is made of is not known" in flaw.message


def _misplaced(document: Mapping[str, Any]) -> Iterable[Problem]:
    for file, sections in document.items():
        table = _UPDATABLE.get(file)
        if table is None:
            yield Problem(file, "there is no such table", f"there are {', '.join(sorted(_UPDATABLE))}")
        elif not isinstance(sections, dict):
            yield Problem(file, "must be a table of sections")
        else:
            known = {field.alias or name for name, field in table.model_fields.items()}
            for section, rows in sections.items():
                if section not in known:
                    there = ", ".join(sorted(known))
                    yield Problem(f"{file}.{section}", "there is no such section", f"there are {there}")
                elif not isinstance(rows, dict):
                    yield Problem(f"{file}.{section}", "must be a table of rows")


def combined(older: Update, newer: Update) -> Update:
    """Return both updates in one; where both have a row, ``newer``'s."""
    return {
        file: {
            section: {**older.get(file, {}).get(section, {}), **newer.get(file, {}).get(section, {})}
            for section in sorted({*older.get(file, {}), *newer.get(file, {})})
        }
        for file in sorted({*older, *newer})
    }


def write_update(update: Update) -> str:
    """Return an update as text: the same text for the same rows."""
    rows = {
        file: {section: dict(sorted(rows.items())) for section, rows in sorted(sections.items())}
        for file, sections in sorted(update.items())
    }
    return _HEAD + tomli_w.dumps({MADE_FOR: BUILT_IN.version, **rows})


def made_for(text: str) -> str | None:
    """Return the version of the built-in catalogue an update says it was laid over."""
    try:
        told = tomllib.loads(text).get(MADE_FOR)
    except tomllib.TOMLDecodeError:
        return None
    return told if isinstance(told, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagUpdate:
    """What a registry's list of tags means for the catalogue."""

    update: Update
    listed: int
    """Tags of today's grammar, of distributions the catalogue knows."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    """Tags the catalogue took to exist and the registry does not have."""

    passed_over: int
    """Tags that are not of today's grammar: of CUDA before 11, of one platform, `latest`."""

    unknown_distributions: tuple[str, ...]
    """Distributions whose tags were passed over, since the catalogue does not know what they are made of."""


def update_from_tags(tags: Iterable[str], *, source: str, catalog: Catalog = BUILT_IN) -> TagUpdate:
    """Return the update by which the images of the catalogue are ``tags``, which must be all there are.

    :raises CatalogError: they are too few to be the tags of nvidia/cuda.
    """
    distributions = catalog.table(CudaImageTable).distributions
    every = sorted(set(tags))
    read = [parsed for parsed in map(parse_tag, every) if parsed]
    known = [parsed for parsed in read if parsed.distribution in distributions]
    if len(known) < FEWEST_TAGS:
        raise CatalogError(
            f"{source} lists {len(known)} tags that are images of CUDA, which cannot be all",
            hint="name the repository that has NVIDIA's images, or a mirror of all of it",
        )
    before = {image.tag for image in cuda_images(catalog=catalog)}
    after = {parsed.tag for parsed in known}
    by_version: dict[str, list[ParsedTag]] = defaultdict(list)
    for version in catalog.table(CudaImageTable).tags:
        by_version[version] = []
    for parsed in known:
        by_version[parsed.cuda].append(parsed)
    name = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")
    rows = {version: _rows(parsed, name) for version, parsed in by_version.items()}
    sources = {name: f"tags of {source} as its registry lists them: https://{source}"}
    return TagUpdate(
        update={CudaImageTable.file: {"sources": sources, "tags": rows}},
        listed=len(known),
        new=tuple(sorted(after - before)),
        gone=tuple(sorted(before - after)),
        passed_over=len(every) - len(read),
        unknown_distributions=tuple(sorted({parsed.distribution for parsed in read} - set(distributions))),
    )


def _rows(tags: Iterable[ParsedTag], source: str) -> list[dict[str, Any]]:
    """Return the rows of one CUDA version: distributions that have the same flavours share one."""
    flavours: dict[str, set[str]] = defaultdict(set)
    for tag in tags:
        flavours[tag.distribution].add(tag.flavour)
    shared: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for distribution in sorted(flavours, key=_distribution_key):
        shared[tuple(sorted(flavours[distribution]))].append(distribution)
    return [
        {
            "flavours": " ".join(names),
            "distributions": " ".join(distributions),
            "complete": True,
            "source": source,
        }
        for names, distributions in sorted(shared.items())
    ]


def _distribution_key(distribution: str) -> tuple[str, tuple[int, ...]]:
    name = distribution.rstrip("0123456789.")
    return name, version_key(distribution[len(name) :])
