"""A ``pyproject.toml`` with what only one tool knows put into the tables of PEP 621 and PEP 735.

Poetry's dependencies, groups and extras; PDM's and uv's development dependencies; Hatch's environments;
flit's old metadata.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from envbuild.spec.direct_references import MOUNT_HINT
from envbuild.spec.manifests.content import (
    AnyRequirement,
    ManifestContent,
    UnusableRequirement,
    WrittenRequirement,
)
from envbuild.spec.manifests.poetry import read_poetry
from envbuild.spec.problems import RefusedError

FILE = "pyproject.toml"


def standard_tables(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with ``[project]`` and ``[dependency-groups]`` as PEP 621 and PEP 735 have them.

    Lists hold :class:`WrittenRequirement` and ``UnusableRequirement`` where they were written elsewhere.
    """
    standard = dict(document)
    tools = document.get("tool")
    if not isinstance(tools, dict):
        return standard
    if isinstance(poetry := tools.get("poetry"), dict):
        _lay(standard, read_poetry(poetry, FILE))
    if isinstance(flit := _at(tools, "flit", "metadata"), dict):
        _lay(standard, _flit(flit))
    groups: dict[str, list[AnyRequirement]] = {
        "dev": _written(_at(tools, "uv", "dev-dependencies"), "tool.uv.dev-dependencies")
    }
    for name, items in _items(_at(tools, "pdm", "dev-dependencies")):
        groups[name] = [*groups.get(name, []), *_written(items, f"tool.pdm.dev-dependencies.{name}")]
    for name, table in _items(_at(tools, "hatch", "envs")):
        for key in ("dependencies", "extra-dependencies"):
            written = _written(_at(table, key), f"tool.hatch.envs.{name}.{key}")
            groups[name] = [*groups.get(name, []), *written]
    _add_groups(standard, groups)
    return standard


def _lay(standard: dict[str, Any], content: ManifestContent) -> None:
    """Lay what another table says below what ``[project]`` says itself."""
    project = dict(standard["project"]) if isinstance(standard.get("project"), dict) else {}
    has_own = "dependencies" in project
    if not has_own and (content.dependencies or content.pythons or not project):
        project["dependencies"] = content.dependencies
        if isinstance(dynamic := project.get("dynamic"), list):
            project["dynamic"] = [item for item in dynamic if item != "dependencies"]
    if content.extras and "optional-dependencies" not in project:
        project["optional-dependencies"] = content.extras
    if content.name:
        project.setdefault("name", content.name)
    standard["project"] = project
    _add_groups(standard, content.groups)


def _flit(flit: Mapping[str, Any]) -> ManifestContent:
    place = "tool.flit.metadata"
    content = ManifestContent(dependencies=[*_written(flit.get("requires"), f"{place}.requires")])
    name = flit.get("dist-name", flit.get("module"))
    content.name = name if isinstance(name, str) else None
    for extra, items in _items(flit.get("requires-extra")):
        content.extras[extra] = [*_written(items, f"{place}.requires-extra.{extra}")]
    if isinstance(python := flit.get("requires-python"), str):
        content.pythons.append((python, True, FILE))
    return content


def _add_groups(standard: dict[str, Any], groups: Mapping[str, Iterable[Any]]) -> None:
    known = standard.get("dependency-groups")
    known = dict(known) if isinstance(known, dict) else {}
    spelled = {canonicalize_name(name): name for name in known}
    for name, items in groups.items():
        if added := list(items):
            key = spelled.get(canonicalize_name(name), name)
            before = known.get(key, [])
            known[key] = [*before, *added] if isinstance(before, list) else before
    if known:
        standard["dependency-groups"] = known


def _written(items: Any, place: str) -> list[AnyRequirement]:
    return [
        _requirement(item, f"{FILE}: {place}[{index}]")
        for index, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, str)
    ]


def _requirement(item: str, where: str) -> AnyRequirement:
    plain = _without_editable(item)
    if plain.startswith(("file:", ".", "/")):
        name = plain.partition("#egg=")[2] or plain
        return UnusableRequirement(where, RefusedError(f"`{name}` is asked for by path", hint=MOUNT_HINT))
    return WrittenRequirement.at(where, plain)


def _without_editable(text: str) -> str:
    """Return what an entry of PDM asks for; `-e` only says how it is installed."""
    plain = text.removeprefix("-e ").strip()
    _, mark, egg = plain.partition("#egg=")
    return f"{egg} @ {plain.partition('#')[0]}" if mark and plain.startswith("git+") else plain


def _items(table: Any) -> list[tuple[str, Any]]:
    return [(str(key), value) for key, value in table.items()] if isinstance(table, dict) else []


def _at(table: Any, *path: str) -> Any:
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table
