"""What a ``pyproject.toml`` beside the spec asks for: dependencies, extras (PEP 621) and groups (PEP 735)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.errors import Problem
from envbuild.spec.manifests.content import UnusableRequirement
from envbuild.spec.manifests.uv_sources import PlacedPackages
from envbuild.spec.manifests.workspace import WorkspaceMember
from envbuild.spec.problems import RefusedError, field_path, kind_of, near
from envbuild.spec.requirements import normalized_requirement

FILE = "pyproject.toml"


def refused_sources(placed: PlacedPackages) -> dict[str, RefusedError]:
    """Return the distributions that ``[tool.uv.sources]`` takes from no usual index, and why."""
    bound = {
        name: RefusedError(
            f"`{name}` is from the index `{index}` alone: [tool.uv.sources] of `{FILE}`",
            hint="name that index in [pip] indexes and bind the package to it in [pip] sources",
        )
        for name, index in placed.indexes.items()
    }
    return placed.refused | bound


@dataclass(frozen=True, slots=True)
class ProjectTables:
    """The tables of a project file that name requirements."""

    document: Mapping[str, Any]
    report: Callable[[Problem], None]
    refused: Mapping[str, RefusedError] = field(default_factory=dict)
    """Distributions that cannot be asked for, and why."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    """Distributions that come from an address."""

    members: Mapping[str, WorkspaceMember] = field(default_factory=dict)
    """Projects of the same workspace, which stand for what they require."""

    file: str = FILE

    def dependencies(self, where: str) -> Iterator[str]:
        """Yield ``[project] dependencies``."""
        yield from self._dependencies(where, ())

    def optional(self, name: str, where: str) -> Iterator[str]:
        """Yield one list of ``[project.optional-dependencies]``."""
        yield from self._extra(name, where, ())

    def group(self, name: str, where: str) -> Iterator[str]:
        """Yield one list of ``[dependency-groups]``, included groups too."""
        yield from self._group(name, where, ())

    def _dependencies(self, where: str, seen: tuple[str, ...]) -> Iterator[str]:
        if "project" not in self.document and self.members:
            for name in sorted(self.members):
                yield from self._member(Requirement(name), where, seen)
            return
        project = self._table(where, "project")
        if project is None:
            return
        dynamic = project.get("dynamic", ())
        if isinstance(dynamic, list) and "dependencies" in dynamic:
            yield from self._refuse(
                where,
                f"the dependencies of `{self.file}` are dynamic: only running its build tells them",
                "list them in a requirements file and name that in [pip] requirements",
            )
            return
        yield from self._listed(
            project.get("dependencies", []), ("project", "dependencies"), (*seen, "project")
        )

    def _extra(self, name: str, where: str, seen: tuple[str, ...]) -> Iterator[str]:
        extras = self._table(where, "project", "optional-dependencies")
        key = self._chosen(name, extras, where, "extra", "[project.optional-dependencies]")
        if extras is not None and key is not None:
            place = ("project", "optional-dependencies", key)
            yield from self._listed(extras[key], place, (*seen, f"extra {canonicalize_name(name)}"))

    def _group(self, name: str, where: str, seen: tuple[str, ...]) -> Iterator[str]:
        mark = f"group {canonicalize_name(name)}"
        if mark in seen:
            yield from self._refuse(where, f"group `{name}` includes itself")
            return
        groups = self._table(where, "dependency-groups")
        key = self._chosen(name, groups, where, "group", "[dependency-groups]")
        if groups is not None and key is not None:
            yield from self._listed(groups[key], ("dependency-groups", key), (*seen, mark))

    def _listed(self, items: Any, place: tuple[str, ...], seen: tuple[str, ...]) -> Iterator[str]:
        if not isinstance(items, list):
            yield from self._refuse(self._place(place), f"must be a list, not {kind_of(items)}")
            return
        for index, item in enumerate(items):
            here = self._place((*place, index))
            match item:
                case UnusableRequirement(where=where, error=error):
                    self.report(error.at(where))
                case str():
                    yield from self._requirement(item, getattr(item, "where", here), seen)
                case {"include-group": str() as name} if len(item) == 1 and place[0] == "dependency-groups":
                    yield from self._group(name, here, seen)
                case _:
                    yield from self._refuse(here, f"must be a requirement, not {kind_of(item)}")

    def _requirement(self, text: str, where: str, seen: tuple[str, ...]) -> Iterator[str]:
        try:
            normalized = normalized_requirement(text)
        except RefusedError as error:
            self.report(error.at(where))
            return
        requirement = Requirement(normalized)
        if requirement.name != self._name():
            if requirement.name in self.members:
                yield from self._member(requirement, where, seen)
            elif address := self.addresses.get(requirement.name):
                yield from self._requirement_at(address, requirement, where)
            elif refusal := self.refused.get(requirement.name):
                self.report(refusal.at(where))
            else:
                yield normalized
            return
        # an extra such as `all = ["train[fit,plot]"]` stands for what it names: the project is not installed
        for part in self.stand_for(requirement, where, seen):
            yield _under(part, requirement)

    def _member(self, requirement: Requirement, where: str, seen: tuple[str, ...]) -> Iterator[str]:
        """Yield what a project of the workspace requires, as it is not installed itself."""
        name = canonicalize_name(requirement.name)
        if f"member {name}" in seen:
            return
        member = self.members[name]
        others = tuple(mark for mark in seen if mark.startswith("member "))
        tables = replace(self, document=member.document, file=member.file)
        for part in tables.stand_for(requirement, where, (*others, f"member {name}")):
            yield _under(part, requirement)

    def _requirement_at(self, address: str, requirement: Requirement, where: str) -> Iterator[str]:
        try:
            yield at_address(requirement, address)
        except RefusedError as error:
            self.report(error.at(where))

    def stand_for(self, requirement: Requirement, where: str, seen: tuple[str, ...]) -> Iterator[str]:
        """Yield what the project itself stands for in a requirement: its dependencies, and its extras."""
        if "project" not in seen:
            yield from self._dependencies(where, seen)
        for extra in sorted(requirement.extras):
            if f"extra {extra}" not in seen:
                yield from self._extra(extra, where, seen)

    def _name(self) -> str | None:
        project = self.document.get("project")
        name = project.get("name") if isinstance(project, dict) else None
        return canonicalize_name(name) if isinstance(name, str) else None

    def _table(self, where: str, *path: str) -> Mapping[str, Any] | None:
        table: Any = self.document
        for depth, key in enumerate(path, start=1):
            table = table.get(key)
            if not isinstance(table, dict):
                shown = ".".join(path[:depth])
                self.report(Problem(where, f"`{self.file}` has no [{shown}]"))
                return None
        return table  # type: ignore[no-any-return]

    def _chosen(
        self, name: str, table: Mapping[str, Any] | None, where: str, kind: str, shown: str
    ) -> str | None:
        """Return the key of ``table`` that ``name`` means; names compare normalised."""
        if table is None:
            return None
        keys = [key for key in table if canonicalize_name(key) == canonicalize_name(name)]
        if len(keys) == 1:
            return keys[0]
        if keys:
            self.report(
                Problem(where, f"`{self.file}` has {kind} `{name}` {len(keys)} times in different spellings")
            )
        else:
            hint = near(name, table) or (f"it has {', '.join(sorted(table))}" if table else None)
            self.report(Problem(where, f"`{self.file}` has no {kind} `{name}` in {shown}", hint))
        return None

    def _place(self, place: tuple[str | int, ...]) -> str:
        return f"{self.file}: {field_path(place)}"

    def _refuse(self, where: str, message: str, hint: str | None = None) -> Iterable[str]:
        self.report(Problem(where, message, hint))
        return ()


def _under(text: str, outer: Requirement) -> str:
    """Return a requirement that holds only where ``outer`` does."""
    if outer.marker is None:
        return text
    inner = Requirement(text)
    marker = f"({inner.marker}) and ({outer.marker})" if inner.marker else str(outer.marker)
    inner.marker = None
    return normalized_requirement(f"{inner} ; {marker}")


def at_address(requirement: Requirement, address: str, marker: str = "") -> str:
    """Return a requirement taken from an address, on top of whose own marker ``marker`` may hold.

    :raises RefusedError: an address of this kind cannot be locked.
    """
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    markers = [f"({part})" for part in (requirement.marker, marker) if part]
    condition = f" ; {' and '.join(markers)}" if markers else ""
    return normalized_requirement(f"{requirement.name}{extras} @ {address}{condition}")
