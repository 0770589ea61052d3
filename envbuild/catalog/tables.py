"""The catalogue as a whole: versioned tables, each read when first asked for, and a user's update of them.

The tables are typed where they are used (``cuda.py``, ``gpus.py``, …).  Functions that look something up take
the catalogue as an argument and default to the built-in one, so that an answer depends on its arguments only;
which catalogue is in force on a machine is decided at the edge.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import AfterValidator

from envbuild.catalog.capability import capabilities
from envbuild.values import Value

DIGEST_LENGTH: Final = 12
"""Hexadecimal digits of an update's digest in the version."""


def _checked(text: str) -> str:
    capabilities(text)
    return text


CapabilityList = Annotated[str, AfterValidator(_checked)]
"""Capabilities on one line of a data file, with spaces between them."""


class Row(Value):
    """One fact, or a few that stand and fall together."""

    source: str
    """Who says so: in files the short name of an entry of ``[sources]``."""


class CatalogTable(Value):
    """The content of one data file."""

    file: ClassVar[str]
    """Name of the data file, without its ending."""

    sources: dict[str, str]
    """Short name → public address or title."""


T = TypeVar("T", bound=CatalogTable)


class Catalog:
    """All tables.  Reads nothing before a table is asked for; immutable, and equal only to itself."""

    def __init__(self, update: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Lay ``update`` over the built-in data: file → section → key → row, whole rows at a time."""
        self._update = update
        self._tables: dict[type[CatalogTable], CatalogTable] = {}

    @property
    def version(self) -> str:
        """Version of all data: that of the release, and a digest of the update where there is one."""
        version: str = read_data("catalog")["version"]
        return f"{version}+{digest_of(self._update)}" if self._update else version

    @property
    def is_updated(self) -> bool:
        """Whether an update is laid over the built-in data."""
        return bool(self._update)

    def table(self, kind: type[T]) -> T:
        """Return a table of this type.

        :raises pydantic.ValidationError: the update does not fit it.
        """
        found = self._tables.get(kind)
        if found is None:
            data = merged(read_data(kind.file), self._update.get(kind.file, {}))
            found = self._tables[kind] = kind.model_validate(data)
        assert isinstance(found, kind)  # noqa: S101 - what the dictionary holds, for the type checker
        return found


def digest_of(update: Mapping[str, Any]) -> str:
    """Return the short digest of an update: the same for the same rows in any order."""
    text = json.dumps(update, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def merged(data: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``data`` with the rows of ``update`` in place of those with the same key."""
    return {
        section: {**data.get(section, {}), **update[section]} if section in update else data[section]
        for section in {**data, **update}
    }


@cache
def read_data(name: str) -> Mapping[str, Any]:
    """Return a data file as it stands."""
    with Path(__file__).with_name("data").joinpath(f"{name}.toml").open("rb") as stream:
        return tomllib.load(stream)


def words(text: str) -> tuple[str, ...]:
    """Return the words of a list kept on one line of a data file."""
    return tuple(text.split())


BUILT_IN: Final = Catalog()
"""The data this release came with."""
