"""The distributions a base can be bootstrapped from, and which archive each suite belongs to.

Facts only, read from ``data/bases.toml``; addresses of mirrors are configuration, and read by
``remote/apt.py``.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import ClassVar

from envbuild.catalog.tables import BUILT_IN, CatalogTable, Row
from envbuild.values import Value


class Archive(Value):
    """One package archive: a pool of files and the suites that index it."""

    labels: tuple[str, ...]
    """What its Release files say in ``Label``."""

    suites: tuple[str, ...]
    """Suites, with ``{codename}`` where a release's code name goes."""


class Family(Row):
    """A distribution in all its releases."""

    codenames: tuple[str, ...]

    keyrings: tuple[str, ...]
    """Files the distribution's own package of keys installs, newest name first."""

    keyring_package: str
    keys: str | None = None
    """File in ``data/keys`` with those same keys, for machines without that package."""

    archives: dict[str, Archive]
    """By name: the main label in lower case."""


class ReleaseFields(Value):
    """What ``/etc/os-release`` says in every point release."""

    id: str
    version_id: str
    codename: str
    pretty_name: str


class Distribution(Row):
    """One release a base can be bootstrapped from."""

    family: str
    python: str
    """``major.minor`` of the only Python it ships."""

    suites: tuple[str, ...]
    """All suites that are read; the first is the release itself."""

    components: tuple[str, ...]
    packages: tuple[str, ...]
    """What an empty system gets, in the words of ``apt-get install`` (apt-patterns(7))."""

    apt_packages: tuple[str, ...]
    """The packages that hold apt's programs, ``sleep``, and the libraries these are linked with."""

    os: ReleaseFields


class DistributionTable(CatalogTable):
    """``data/bases.toml``."""

    file: ClassVar[str] = "bases"
    images: dict[str, str]
    families: dict[str, Family]
    distributions: dict[str, Distribution]


def _table() -> DistributionTable:
    # an update of the catalogue does not reach bases: the spec's own rules are made from them
    return BUILT_IN.table(DistributionTable)


def distributions() -> Mapping[str, Distribution]:
    """Return every distribution that can be bootstrapped, by ``distribution:suite``."""
    return _table().distributions


def families() -> Mapping[str, Family]:
    """Return every distribution family by its os-release id."""
    return _table().families


@cache
def _archives_by_suite() -> Mapping[str, str]:
    return {
        pattern.format(codename=codename): name
        for family in families().values()
        for name, archive in family.archives.items()
        for pattern in archive.suites
        for codename in family.codenames
    }


def archive_of_suite(suite: str) -> str | None:
    """Return the archive a suite such as ``bookworm-security`` belongs to, or None for an unknown suite."""
    return _archives_by_suite().get(suite)


def archive_of_label(label: str) -> str:
    """Return the archive whose Release files carry ``label``: for unknown ones the label in lower case."""
    for family in families().values():
        for name, archive in family.archives.items():
            if label in archive.labels:
                return name
    return label.lower()


def shipped_keys(family: Family) -> bytes | None:
    """Return the keys a family signs its archives with, as this release knows them, or None."""
    return (Path(__file__).parent / "data" / "keys" / family.keys).read_bytes() if family.keys else None


def family_of_archive(archive: str) -> Family | None:
    """Return the family that owns an archive of this name, if it is known."""
    return next((family for family in families().values() if archive in family.archives), None)
