"""Members of a uv workspace: projects beside the one of the spec, which requirements may name.

Format: uv documentation, "Workspaces".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from envbuild.errors import Problem, SpecError
from envbuild.spec.files import find_files
from envbuild.spec.load import parse_toml
from envbuild.spec.manifests.tool_tables import standard_tables
from envbuild.spec.manifests.uv_sources import PlacedPackages, SourceChoices, read_uv_sources
from envbuild.spec.problems import RefusedError

_FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class WorkspaceMember:
    """One project of a workspace."""

    file: str
    """Its project file, relative to the workspace."""

    document: Mapping[str, Any]
    """With what only one tool knows in the standard tables."""


def read_members(
    document: Mapping[str, Any],
    folder: Path,
    read: Callable[[Path, str], str],
    report: Callable[[Problem], None],
) -> dict[str, WorkspaceMember]:
    """Return the members of the workspace of a project file, by normalised name."""
    members: dict[str, WorkspaceMember] = {}
    excluded = {f"{item}/{_FILE}" for item in _listed(document, "exclude")}
    patterns = [f"{item}/{_FILE}" for item in _listed(document, "members")]
    for file in find_files(folder, patterns):
        if file in excluded:
            continue
        try:
            member = standard_tables(parse_toml(read(folder / file, file), file))
        except RefusedError as error:
            report(error.at(file))
            continue
        except SpecError as error:
            for problem in error.problems or [Problem(file, error.message)]:
                report(problem)
            continue
        project = member.get("project")
        name = project.get("name") if isinstance(project, dict) else None
        if isinstance(name, str):
            members[canonicalize_name(name)] = WorkspaceMember(file, member)
    return members


def placed_packages(
    document: Mapping[str, Any], members: Mapping[str, WorkspaceMember], choices: SourceChoices
) -> PlacedPackages:
    """Return where the packages of a workspace come from; its members are none of them."""
    placed = read_uv_sources(document, choices)
    for member in members.values():
        own = read_uv_sources(member.document, choices)
        placed.indexes = own.indexes | placed.indexes
        placed.addresses = own.addresses | placed.addresses
        placed.refused = own.refused | placed.refused
    placed.refused = {name: error for name, error in placed.refused.items() if name not in members}
    return placed


def _listed(document: Mapping[str, Any], key: str) -> list[str]:
    table: Any = document
    for part in ("tool", "uv", "workspace", key):
        table = table.get(part) if isinstance(table, dict) else None
    return [item for item in table if isinstance(item, str)] if isinstance(table, list) else []
