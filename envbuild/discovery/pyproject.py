"""What of a ``pyproject.toml`` a first spec takes: dependencies, groups, extras, and uv's named indexes."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.utils import canonicalize_name

from envbuild.discovery.content import FileContent, PythonEvidence, Taken
from envbuild.errors import Problem, SpecError
from envbuild.spec import rules
from envbuild.spec.foreign.target_markers import targets_of
from envbuild.spec.load import parse_toml
from envbuild.spec.manifests.content import classifier_pythons
from envbuild.spec.manifests.poetry import read_poetry
from envbuild.spec.manifests.tool_tables import standard_tables
from envbuild.spec.manifests.uv_sources import PlacedPackages, SourceChoices, index_addresses
from envbuild.spec.manifests.workspace import WorkspaceMember, placed_packages
from envbuild.spec.problems import RefusedError
from envbuild.spec.pyproject import FILE, ProjectTables

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_OVERRIDES_HINT = "what packages require is not overridden; bound it in [pip] constraints"
_DYNAMIC_HINT = "list them in a requirements file and name that in [pip] requirements"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementLists:
    """Which lists of a project file are taken besides its dependencies."""

    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Besides uv's default groups."""

    all_extras: bool = False
    all_groups: bool = False

    def with_named(self, extras: Iterable[str], groups: Iterable[str]) -> "RequirementLists":
        """Return these lists and others that files name, each once."""
        return replace(
            self,
            extras=tuple(dict.fromkeys((*self.extras, *extras))),
            groups=tuple(dict.fromkeys((*self.groups, *groups))),
        )

    python: str = "3.12"
    """Decides between sources that markers choose, as ``--python`` says it."""


@dataclass(slots=True)
class ProjectFindings:
    """What one project file gives."""

    name: str | None = None
    pythons: list[PythonEvidence] = field(default_factory=list)
    pip: dict[str, Any] = field(default_factory=dict)
    """Keys of [pip]."""

    files: list[str] = field(default_factory=list)
    """Requirements files it names as its dependencies."""

    taken: list[str] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _ProjectReading:
    document: Mapping[str, Any]
    """With what only one tool knows in the standard tables."""

    placed: PlacedPackages
    found: ProjectFindings
    members: Mapping[str, WorkspaceMember]


def read_project(
    text: str, wanted: RequirementLists, members: Mapping[str, WorkspaceMember] | None = None
) -> FileContent:
    """Return what ``text`` gives; what cannot be taken is in ``left``.

    ``members`` are the other projects of its workspace.
    """
    found = _findings(text, wanted, members or {})
    content = FileContent(files=found.files, left=found.left, pythons=found.pythons)
    content.names = [found.name] if found.name else []
    if found.pip:
        content.tables["pip"] = found.pip
    if found.taken:
        content.taken.append(Taken(FILE, ", ".join(found.taken)))
    return content


def has_dynamic_dependencies(text: str) -> bool:
    """Return whether a project file leaves its dependencies to setup.py, setup.cfg or a plugin."""
    try:
        document = standard_tables(parse_toml(text, FILE))
    except SpecError:
        return False
    return "project" not in document or "dependencies" in _list(_at(document, "project", "dynamic"))


def _findings(text: str, wanted: RequirementLists, members: Mapping[str, WorkspaceMember]) -> ProjectFindings:
    found = ProjectFindings()
    try:
        written = parse_toml(text, FILE)
    except SpecError as error:
        found.left += error.problems or [Problem(FILE, error.message)]
        return found
    document = standard_tables(written)
    project = document.get("project")
    extras = _names(project if isinstance(project, dict) else {}, "optional-dependencies")
    groups = _names(document, "dependency-groups")
    choices = SourceChoices(
        targets_of(wanted.python, ("linux/amd64",)),
        extras if wanted.all_extras else wanted.extras,
        groups if wanted.all_groups else (*_default_groups(document, groups), *wanted.groups),
    )
    reading = _ProjectReading(document, placed_packages(document, members, choices), found, members)
    _pythons(written, document, found)
    if isinstance(project, dict):
        _metadata(project, reading)
        _take_members(project, reading)
    elif members:
        _take(reading, "project", "members", lambda project: project.dependencies(FILE))
    _lists(reading, "extras", extras, wanted.extras, everything=wanted.all_extras)
    chosen = (*_default_groups(document, groups), *wanted.groups)
    _lists(reading, "groups", groups, chosen, everything=wanted.all_groups)
    if isinstance(document.get("tool"), dict):
        _tools(reading)
    return found


def _pythons(written: Mapping[str, Any], document: Mapping[str, Any], found: ProjectFindings) -> None:
    project = document.get("project")
    python = _at(project, "requires-python")
    if isinstance(python, str):
        found.pythons.append(PythonEvidence(python, FILE, is_range=True))
    poetry = _at(written, "tool", "poetry")
    if isinstance(poetry, dict):
        pythons = read_poetry(poetry, FILE).pythons
        found.pythons += [PythonEvidence(text, where, is_range=is_range) for text, is_range, where in pythons]
    classifiers = _list(_at(project, "classifiers")) + _list(_at(poetry, "classifiers"))
    found.pythons += [
        PythonEvidence(text, where, is_range=is_range)
        for text, is_range, where in classifier_pythons([str(item) for item in classifiers], FILE)
    ]


def _metadata(project: Mapping[str, Any], reading: _ProjectReading) -> None:
    document, found = reading.document, reading.found
    name = project.get("name")
    found.name = name if isinstance(name, str) else None
    if "dependencies" in _list(project.get("dynamic")):
        hook = _at(document, "tool", "hatch", "metadata", "hooks", "requirements_txt")
        for files in (
            _at(document, "tool", "setuptools", "dynamic", "dependencies", "file"),
            _at(hook, "files"),
            _at(hook, "filename"),
        ):
            found.files += [files] if isinstance(files, str) else [str(item) for item in _list(files)]
        if not found.files:
            found.left.append(
                Problem(f"{FILE}: project.dependencies", "dynamic: only a build tells them", _DYNAMIC_HINT)
            )
    elif project.get("dependencies"):
        _take(reading, "project", "dependencies", lambda project: project.dependencies(FILE))
    else:
        found.taken.append("no dependencies")


def _take_members(project: Mapping[str, Any], reading: _ProjectReading) -> None:
    """Take what members of a workspace need whose root needs nothing; report members nobody requires."""
    found, members = reading.found, reading.members
    required = {re.split(r"[^A-Za-z0-9._-]", str(item))[0] for item in _list(project.get("dependencies"))}
    others = sorted(set(members) - {canonicalize_name(name) for name in (*required, found.name or "")})
    if not others:
        return
    if required:
        hint = "name them in its dependencies, or `envbuild init` the folder of one"
        found.left.append(Problem(FILE, f"not taken: members {', '.join(others)}", hint))
        return
    placed = reading.placed
    tables = ProjectTables({}, found.left.append, placed.refused, placed.addresses, members)
    requirements = sorted(set(tables.dependencies(FILE)))
    if requirements:
        found.pip.setdefault("packages", []).extend(requirements)
        found.taken.append(f"members {', '.join(others)}, written into the spec")


def _lists(
    reading: _ProjectReading,
    key: str,
    names: Iterable[str],
    chosen: Iterable[str],
    *,
    everything: bool,
) -> None:
    """Take the chosen lists; say which others there are, and which chosen ones are not."""
    document, found = reading.document, reading.found
    kind = key.removesuffix("s")
    by_name = {canonicalize_name(name): name for name in names}
    wanted = list(
        dict.fromkeys(canonicalize_name(name) for name in (*chosen, *(by_name if everything else ())))
    )
    for name in wanted:
        if name not in by_name and key == "extras" and "project" not in document:
            continue  # setup.py has them
        if name not in by_name:
            there = f"it has {', '.join(sorted(by_name))}" if by_name else None
            found.left.append(Problem(FILE, f"it has no {kind} `{name}`", there))
            continue
        written = by_name[name]

        def read(project: ProjectTables, written: str = written) -> Iterator[str]:
            return project.group(written, FILE) if key == "groups" else project.optional(written, FILE)

        _take(reading, key, written, read)
    taken = _with_included(document, wanted) if key == "groups" else wanted
    others = [written for name, written in sorted(by_name.items()) if name not in taken]
    if others:
        found.left.append(Problem(FILE, f"not taken: {key} {', '.join(others)}", f"--{kind} NAME takes one"))


def _with_included(document: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    """Return the normalised names of groups, and of those they include."""
    groups = _at(document, "dependency-groups")
    items = {str(canonicalize_name(name)): _list(groups[name]) for name in _keys(groups)}
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            included = (item["include-group"] for item in items.get(name, []) if _includes(item))
            pending += map(canonicalize_name, included)
    return found


def _includes(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("include-group"), str)


def _take(
    reading: _ProjectReading,
    key: str,
    name: str,
    read: Callable[[ProjectTables], Iterator[str]],
) -> None:
    """Name a list in the spec if all of it can be locked, else write into the spec what of it can be."""
    found, placed = reading.found, reading.placed
    shown = name if key == "project" else f"{key.removesuffix('s')} {name}"
    problems: list[Problem] = []
    requirements = set(
        read(
            ProjectTables(
                reading.document, problems.append, placed.refused, placed.addresses, reading.members
            )
        )
    )
    if problems:
        found.left += problems
        found.pip.setdefault("packages", []).extend(sorted(requirements))
        found.taken.append(f"{shown}, written into the spec because of what is left out below")
        return
    if key == "project":
        found.pip[key] = True
    else:
        found.pip.setdefault(key, []).append(name)
    found.taken.append(shown)


def _tools(reading: _ProjectReading) -> None:
    document, found = reading.document, reading.found
    if _at(document, "tool", "uv", "override-dependencies"):
        where = f"{FILE}: tool.uv.override-dependencies"
        found.left.append(Problem(where, "not taken", _OVERRIDES_HINT))
    _uv_indexes(reading)
    poetry = _at(document, "tool", "poetry")
    bound = read_poetry(poetry, FILE).sources if isinstance(poetry, dict) else {}
    for package, (name, address) in bound.items():
        _bind(package, name, {name: address}, f"{FILE}: tool.poetry.source", found)
    for table in ("poetry", "pdm"):
        for source in _list(_at(document, "tool", table, "source")):
            if (name := _at(source, "name")) not in {index for index, _ in bound.values()}:
                _not_bound(f"{FILE}: tool.{table}.source", str(name), found)


def _uv_indexes(reading: _ProjectReading) -> None:
    """Take indexes that packages are bound to; any other is the client's own affair."""
    document, found, placed = reading.document, reading.found, reading.placed
    addresses = index_addresses(document)
    used: set[str] = set()
    for package, index in placed.indexes.items():
        where = f"{FILE}: tool.uv.sources.{package}"
        if index in addresses:
            used.add(index)
            _bind(package, index, addresses, where, found)
        else:
            hint = f'write its address: indexes = {{ {_spelled(index)} = "https://…" }} in [pip]'
            found.left.append(Problem(where, f"there is no index `{index}` in [[tool.uv.index]]", hint))
    for package, error in placed.refused.items():
        message = error.message.partition(": [tool.uv.sources]")[0]
        if not any(problem.message == error.message for problem in found.left):
            found.left.append(Problem(f"{FILE}: tool.uv.sources.{package}", message, error.hint))
    for name in sorted(set(addresses) - used):
        _not_bound(f"{FILE}: tool.uv.index", name, found)


def _not_bound(where: str, name: str, found: ProjectFindings) -> None:
    hint = "the client's configuration says it; or bind packages to it in [pip] sources"
    found.left.append(Problem(where, f"`{name}` is not taken: no package is bound to it", hint))


def _spelled(index: str) -> str:
    return index.lower().replace("_", "-").replace(".", "-")


def _bind(package: str, index: str, addresses: Mapping[str, str], where: str, found: ProjectFindings) -> None:
    try:
        name, address = rules.index_name(_spelled(index)), rules.index_url(addresses[index])
        found.pip.setdefault("sources", {})[rules.distribution_name(package)] = name
        found.pip.setdefault("indexes", {})[name] = address
        found.taken.append(f"{package} from {name}")
    except RefusedError as error:
        found.left.append(error.at(where))


def _default_groups(document: Mapping[str, Any], groups: Iterable[str]) -> Iterator[str]:
    """Yield what uv installs when it is told nothing else: ``dev``, unless the project says otherwise."""
    chosen = _at(document, "tool", "uv", "default-groups")
    if chosen == "all":
        yield from groups
    elif isinstance(chosen, list):
        yield from (str(name) for name in chosen)
    elif "dev" in {canonicalize_name(name) for name in groups}:
        yield "dev"


def _names(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the names of lists; what is no name nobody can ask for."""
    return tuple(name for name in _keys(table.get(key)) if _NAME.fullmatch(name))


def _keys(table: Any) -> tuple[str, ...]:
    return tuple(table) if isinstance(table, dict) else ()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(table: Any, *path: str) -> Any:
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table
