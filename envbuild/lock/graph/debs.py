"""What Debian packages of one target depend on: alternatives, and names that others provide (Policy 7)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from envbuild.lock.graph.model import LockedPackage, PackageKey, RequirementEdge

_RELATION: Final = re.compile(
    r"\s*(?P<name>[a-z0-9][a-z0-9+.-]*)(?::(?P<architecture>[a-z0-9-]+))?"
    r"\s*(?:\((?P<how><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s)]+)\s*\))?"
)
_UPPER: Final = ("<<", "<=", "=", "<")
_COMPARES: Final[Mapping[str, Callable[[int], bool]]] = {
    "<<": lambda order: order < 0,
    # the old spelling (Policy 7.1) of <= and >=
    "<": lambda order: order <= 0,
    "<=": lambda order: order <= 0,
    "=": lambda order: order == 0,
    ">=": lambda order: order >= 0,
    ">": lambda order: order >= 0,
    ">>": lambda order: order > 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DebRelation:
    """One alternative of a dependency, or one thing that is provided."""

    name: str
    how: str | None = None
    version: str | None = None

    @property
    def bound(self) -> str:
        """The condition, if a newer version may not meet it."""
        return f"{self.how} {self.version}" if self.how in _UPPER else ""


def parse_relations(text: str, separator: str) -> tuple[DebRelation, ...]:
    """Return the parts of a relation: alternatives at ``|``, provided names at ``,``."""
    found = (_RELATION.match(part) for part in text.split(separator))
    return tuple(
        DebRelation(name=part["name"], how=part["how"], version=part["version"]) for part in found if part
    )


@dataclass(slots=True)
class DebSet:
    """The Debian packages of a target, the base's among them."""

    _named: dict[str, list[LockedPackage]] = field(default_factory=dict)
    _provided: dict[str, list[tuple[LockedPackage, str | None]]] = field(default_factory=dict)

    def add(self, package: LockedPackage, provides: Iterable[str] = ()) -> None:
        """Add a package, and what it provides."""
        self._named.setdefault(package.name, []).append(package)
        for relation in (item for text in provides for item in parse_relations(text, ",")):
            self._provided.setdefault(relation.name, []).append((package, relation.version))

    def answers(self, relation: DebRelation) -> Iterator[tuple[LockedPackage, str]]:
        """Yield every package that meets ``relation``, and the name it provides where it has another one.

        Of several the version decides; one alone is taken, as apt has found that it will do.
        """
        named = [(package, package.version, "") for package in self._named.get(relation.name, ())]
        provided = [
            (package, version, relation.name)
            for package, version in self._provided.get(relation.name, ())
            if package.name != relation.name
        ]
        candidates = [*named, *provided]
        for package, version, via in candidates:
            if len(candidates) == 1 or _meets(version, relation):
                yield package, via

    def edges(self, source: PackageKey, depends: Iterable[str]) -> Iterator[RequirementEdge]:
        """Yield what a package depends on; of a group of alternatives every one that is there."""
        for group in depends:
            for relation in parse_relations(group, "|"):
                for package, via in self.answers(relation):
                    if package.key != source:
                        yield RequirementEdge(
                            source=source,
                            target=package.key,
                            requirement=group,
                            via=via,
                            bound=relation.bound,
                        )

    def unanswered(self, depends: Iterable[str]) -> Iterator[str]:
        """Yield the first name of each group that no package here meets."""
        for group in depends:
            relations = parse_relations(group, "|")
            if relations and not any(any(self.answers(relation)) for relation in relations):
                yield relations[0].name


def _meets(version: str | None, relation: DebRelation) -> bool:
    if relation.how is None or relation.version is None:
        return True
    if version is None:
        # what is provided without a version meets no condition (Policy 7.5)
        return False
    from debian.debian_support import Version  # noqa: PLC0415 - it takes long to import, and is seldom needed

    mine, wanted = Version(version), Version(relation.version)
    return _COMPARES[relation.how]((mine > wanted) - (mine < wanted))
