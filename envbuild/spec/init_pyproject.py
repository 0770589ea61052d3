"""What of a ``pyproject.toml`` a first spec takes: dependencies, groups, extras, and uv's named indexes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.errors import Problem, SpecError
from envbuild.spec import rules
from envbuild.spec.load import parse_toml
from envbuild.spec.problems import RefusedError
from envbuild.spec.pyproject import FILE, ProjectTables, placed_elsewhere

_POETRY_HINT = "no standard says them: `poetry export` writes a requirements file; or move them to [project]"
_GROUP_HINT = "move them to [dependency-groups]"
_HINTS = {
    ("poetry", "dependencies"): _POETRY_HINT,
    ("poetry", "dev-dependencies"): _GROUP_HINT,
    ("uv", "dev-dependencies"): _GROUP_HINT,
    ("pdm", "dev-dependencies"): _GROUP_HINT,
    ("uv", "constraint-dependencies"): "write them to a file and name that in [pip] constraints",
    ("uv", "override-dependencies"): "what packages require is not overridden; bound it in [pip] constraints",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementLists:
    """Which lists of a project file are taken besides its dependencies."""

    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Besides uv's default groups."""

    all_extras: bool = False
    all_groups: bool = False


@dataclass(slots=True)
class ProjectFindings:
    """What one project file gives."""

    name: str | None = None
    requires_python: str | None = None
    pip: dict[str, Any] = field(default_factory=dict)
    """Keys of [pip]."""

    files: list[str] = field(default_factory=list)
    """Requirements files it names as its dependencies."""

    taken: list[str] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)


def read_project(text: str, wanted: RequirementLists) -> ProjectFindings:
    """Return what ``text`` gives; what cannot be taken is in ``left``."""
    found = ProjectFindings()
    try:
        document = parse_toml(text, FILE)
    except SpecError as error:
        found.left += error.problems or [Problem(FILE, error.message)]
        return found
    project = document.get("project")
    if isinstance(project, dict):
        _metadata(project, document, found)
    extras = _names(project if isinstance(project, dict) else {}, "optional-dependencies")
    groups = _names(document, "dependency-groups")
    _lists(document, found, "extras", extras, wanted.extras, everything=wanted.all_extras)
    chosen = (*_default_groups(document, groups), *wanted.groups)
    _lists(document, found, "groups", groups, chosen, everything=wanted.all_groups)
    tools = document.get("tool")
    if isinstance(tools, dict):
        _tools(tools, found)
    return found


def _metadata(project: Mapping[str, Any], document: Mapping[str, Any], found: ProjectFindings) -> None:
    name, python = project.get("name"), project.get("requires-python")
    found.name = name if isinstance(name, str) else None
    found.requires_python = python if isinstance(python, str) else None
    if "dependencies" in _list(project.get("dynamic")):
        files = _at(document, "tool", "setuptools", "dynamic", "dependencies", "file")
        found.files = [files] if isinstance(files, str) else [str(item) for item in _list(files)]
        if not found.files:
            hint = "list them in a requirements file and name that in [pip] requirements"
            found.left.append(
                Problem(f"{FILE}: project.dependencies", "dynamic: only a build tells them", hint)
            )
    elif project.get("dependencies"):
        _take(document, found, "project", "dependencies", lambda project: project.dependencies(FILE))


def _lists(
    document: Mapping[str, Any],
    found: ProjectFindings,
    key: str,
    names: Iterable[str],
    chosen: Iterable[str],
    *,
    everything: bool,
) -> None:
    """Take the chosen lists; say which others there are, and which chosen ones are not."""
    kind = key.removesuffix("s")
    by_name = {canonicalize_name(name): name for name in names}
    wanted = list(
        dict.fromkeys(canonicalize_name(name) for name in (*chosen, *(by_name if everything else ())))
    )
    for name in wanted:
        if name not in by_name:
            there = f"it has {', '.join(sorted(by_name))}" if by_name else None
            found.left.append(Problem(FILE, f"it has no {kind} `{name}`", there))
            continue
        written = by_name[name]

        def read(project: ProjectTables, written: str = written) -> Iterator[str]:
            return project.group(written, FILE) if key == "groups" else project.optional(written, FILE)

        _take(document, found, key, written, read)
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
    document: Mapping[str, Any],
    found: ProjectFindings,
    key: str,
    name: str,
    read: Callable[[ProjectTables], Iterator[str]],
) -> None:
    """Name a list in the spec if all of it can be locked, else write into the spec what of it can be."""
    shown = name if key == "project" else f"{key.removesuffix('s')} {name}"
    problems: list[Problem] = []
    requirements = set(read(ProjectTables(document, problems.append)))
    # the sources say so themselves in what is left out; an index may have a stranger's package of that name
    placed = placed_elsewhere(document)
    indexed = {text for text in requirements if canonicalize_name(Requirement(text).name) not in placed}
    if problems or indexed != requirements:
        found.left += problems
        found.pip.setdefault("packages", []).extend(sorted(indexed))
        found.taken.append(f"{shown}, written into the spec because of what is left out below")
        return
    if key == "project":
        found.pip[key] = True
    else:
        found.pip.setdefault(key, []).append(name)
    found.taken.append(shown)


def _tools(tools: Mapping[str, Any], found: ProjectFindings) -> None:
    for path in _lists_of_tools(tools):
        found.left.append(Problem(f"{FILE}: tool.{'.'.join(path)}", "not taken", _HINTS[path[0], path[-1]]))
    uv = tools.get("uv")
    if isinstance(uv, dict):
        _uv_indexes(uv, found)


def _lists_of_tools(tools: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the path of each list of requirements that only one tool knows."""
    groups = _at(tools, "poetry", "group")
    paths = [
        ("poetry", "dependencies"),
        ("poetry", "dev-dependencies"),
        *(("poetry", "group", str(name), "dependencies") for name in _keys(groups)),
        *(("uv", key) for key in ("dev-dependencies", "constraint-dependencies", "override-dependencies")),
        ("pdm", "dev-dependencies"),
    ]
    for path in paths:
        if _at(tools, *path):
            yield path


def _uv_indexes(uv: Mapping[str, Any], found: ProjectFindings) -> None:
    """Take indexes that packages are bound to; any other is the client's own affair."""
    addresses: dict[str, str] = {}
    for index in _list(uv.get("index")):
        if (
            isinstance(index, dict)
            and isinstance(index.get("name"), str)
            and isinstance(index.get("url"), str)
        ):
            addresses[index["name"]] = index["url"]
    sources = uv.get("sources")
    placed = placed_elsewhere({"tool": {"uv": uv}})
    used: set[str] = set()
    for package, source in sources.items() if isinstance(sources, dict) else ():
        where = f"{FILE}: tool.uv.sources.{package}"
        choices = source if isinstance(source, list) else [source]
        if len(choices) != 1 or not isinstance(choices[0], dict) or "marker" in choices[0]:
            hint = "bind it in [pip] sources, and to another index in a variant"
            found.left.append(Problem(where, "several sources, chosen by markers", hint))
        elif canonicalize_name(package) in placed:
            found.left.append(Problem(where, "not from an index", placed[canonicalize_name(package)]))
        elif choices[0].get("index") in addresses:
            used.add(choices[0]["index"])
            _bind(package, choices[0]["index"], addresses, where, found)
    for name in sorted(set(addresses) - used):
        hint = "the client's configuration says it; or bind packages to it in [pip] sources"
        found.left.append(
            Problem(f"{FILE}: tool.uv.index", f"`{name}` is not taken: no package is bound to it", hint)
        )


def _bind(package: str, index: str, addresses: Mapping[str, str], where: str, found: ProjectFindings) -> None:
    try:
        name, address = rules.index_name(index.lower().replace("_", "-")), rules.index_url(addresses[index])
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
    return _keys(table.get(key))


def _keys(table: Any) -> tuple[str, ...]:
    return tuple(table) if isinstance(table, dict) else ()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(table: Any, *path: str) -> Any:
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table
