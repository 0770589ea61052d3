"""What one file says of an environment, in the tables of a spec."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from envbuild.errors import Problem


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one file."""

    file: str
    what: str


@dataclass(frozen=True, slots=True)
class PythonEvidence:
    """A version of Python, or a range of them, and where it is written."""

    text: str
    """``3.11``, ``3.11.9``; of a range, specifiers as PEP 440 writes them: ``>=3.9,<4``."""

    where: str
    """File, or ``file:line``."""

    is_range: bool = False


@dataclass(slots=True)
class FileContent:
    """What one file, or several that belong together, give for a spec."""

    names: list[str] = field(default_factory=list)
    """What the environment may be called, the best first."""

    pythons: list[PythonEvidence] = field(default_factory=list)
    """The best witness first."""

    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Tables of the spec by name (``base``, ``pip``, ``conda``, ``system``, ``image``, ``gpu``), their values
    as TOML has them.  Requirements are PEP 508 strings in ``pip.packages``."""

    files: list[str] = field(default_factory=list)
    """Files of the folder that this one tells to install from: requirements files, ``pyproject.toml``,
    ``environment.yml``.  Relative to the folder."""

    extras: list[str] = field(default_factory=list)
    """Extras of the project that this file tells to install."""

    groups: list[str] = field(default_factory=list)
    """Groups of the project that this file tells to install."""

    taken: list[Taken] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)
    """What was not taken, with the line it stands in and what can be done."""

    def add(self, table: str, key: str, items: Iterable[Any]) -> None:
        """Append to a list of the spec what is not in it yet."""
        found = self.tables.setdefault(table, {}).setdefault(key, [])
        found += [item for item in items if item not in found]

    def leave(self, where: str, message: str, hint: str | None = None) -> None:
        """Note what was not taken."""
        self.left.append(Problem(where, message, hint))
