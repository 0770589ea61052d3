"""What a ``pyproject.toml`` beside the spec asks for: dependencies, extras (PEP 621) and groups (PEP 735)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.errors import Problem
from envbuild.spec.problems import RefusedError, field_path, kind_of, near
from envbuild.spec.requirements import INDEX_HINT, MOUNT_HINT, normalized_requirement

FILE = "pyproject.toml"

_LOCAL = frozenset({"path", "workspace"})
_PLACES = frozenset({"git", "url"}) | _LOCAL


def placed_elsewhere(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the distributions that ``[tool.uv.sources]`` takes from no index, and a hint for each.

    An index may have a stranger's package of that name.
    """
    found: dict[str, str] = {}
    for name, choices in _sources(document):
        kinds = {kind for choice in choices for kind in choice} & _PLACES
        if kinds:
            found[name] = MOUNT_HINT if kinds & _LOCAL else INDEX_HINT
    return found


def refused_sources(document: Mapping[str, Any]) -> dict[str, RefusedError]:
    """Return the distributions that ``[tool.uv.sources]`` takes from where envbuild would not look, and why.

    Those it takes from several places, chosen by markers, are not among them unless one is no index.
    """
    placed = {
        name: RefusedError(f"`{name}` is not from an index: [tool.uv.sources] of `{FILE}`", hint=hint)
        for name, hint in placed_elsewhere(document).items()
    }
    bound = {
        name: RefusedError(
            f"`{name}` is from the index `{choices[0]['index']}` alone: [tool.uv.sources] of `{FILE}`",
            hint="name that index in [pip] indexes and bind the package to it in [pip] sources",
        )
        for name, choices in _sources(document)
        if len(choices) == 1 and "index" in choices[0] and "marker" not in choices[0]
    }
    return placed | bound


def _sources(document: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    table: Any = document
    for key in ("tool", "uv", "sources"):
        table = table.get(key) if isinstance(table, dict) else None
    for name, source in table.items() if isinstance(table, dict) else ():
        choices = source if isinstance(source, list) else [source]
        yield canonicalize_name(name), [choice for choice in choices if isinstance(choice, dict)]


@dataclass(frozen=True, slots=True)
class ProjectTables:
    """The tables of a project file that name requirements."""

    document: Mapping[str, Any]
    report: Callable[[Problem], None]
    refused: Mapping[str, RefusedError] = field(default_factory=dict)
    """Distributions that cannot be asked for, and why."""

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
        project = self._table(where, "project")
        if project is None:
            return
        dynamic = project.get("dynamic", ())
        if isinstance(dynamic, list) and "dependencies" in dynamic:
            yield from self._refuse(
                where,
                f"the dependencies of `{FILE}` are dynamic: only running its build tells them",
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
            yield from self._refuse(_where(place), f"must be a list, not {kind_of(items)}")
            return
        for index, item in enumerate(items):
            here = _where((*place, index))
            match item:
                case str():
                    yield from self._requirement(item, here, seen)
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
            if refusal := self.refused.get(requirement.name):
                self.report(refusal.at(where))
            else:
                yield normalized
            return
        # an extra such as `all = ["train[fit,plot]"]` stands for what it names: the project is not installed
        for part in self._itself(requirement, where, seen):
            yield _under(part, requirement)

    def _itself(self, requirement: Requirement, where: str, seen: tuple[str, ...]) -> Iterator[str]:
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
                self.report(Problem(where, f"`{FILE}` has no [{shown}]"))
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
                Problem(where, f"`{FILE}` has {kind} `{name}` {len(keys)} times in different spellings")
            )
        else:
            hint = near(name, table) or (f"it has {', '.join(sorted(table))}" if table else None)
            self.report(Problem(where, f"`{FILE}` has no {kind} `{name}` in {shown}", hint))
        return None

    def _refuse(self, where: str, message: str, hint: str | None = None) -> Iterable[str]:
        self.report(Problem(where, message, hint))
        return ()


def _where(place: tuple[str | int, ...]) -> str:
    return f"{FILE}: {field_path(place)}"


def _under(text: str, outer: Requirement) -> str:
    """Return a requirement that holds only where ``outer`` does."""
    if outer.marker is None:
        return text
    inner = Requirement(text)
    marker = f"({inner.marker}) and ({outer.marker})" if inner.marker else str(outer.marker)
    inner.marker = None
    return normalized_requirement(f"{inner}; {marker}")
