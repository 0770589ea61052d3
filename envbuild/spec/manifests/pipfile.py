"""``Pipfile``: packages of Pipenv (pipenv documentation, "Pipfile & Pipfile.lock")."""

from collections.abc import Mapping
from typing import Any

from packaging.utils import canonicalize_name

from envbuild.errors import Problem, SpecError
from envbuild.spec.load import parse_toml
from envbuild.spec.manifests.content import ManifestContent
from envbuild.spec.manifests.poetry import requirements_of

_SECTIONS = frozenset(
    {"source", "sources", "packages", "dev-packages", "requires", "scripts", "pipenv", "build-system"}
)


def read_pipfile(text: str, file: str) -> ManifestContent:
    """Return what a Pipfile says; other sections than the usual ones are groups."""
    content = ManifestContent()
    try:
        document = parse_toml(text, file)
    except SpecError as error:
        content.problems += error.problems or [Problem(file, error.message)]
        return content
    requires = document.get("requires")
    for key in ("python_full_version", "python_version"):
        if isinstance(requires, dict) and isinstance(python := requires.get(key), str):
            content.pythons.append((python, False, file))
            break
    indexes = _indexes(document)
    groups = {name for name, table in document.items() if isinstance(table, dict)} - _SECTIONS
    for section in ("packages", "dev-packages", *sorted(groups)):
        table = document.get(section)
        for package, wanted in table.items() if isinstance(table, dict) else ():
            found = list(requirements_of(package, wanted, f"{file}: {section}.{package}"))
            if section == "packages":
                content.dependencies += found
            else:
                name = "dev" if section == "dev-packages" else section
                content.groups.setdefault(name, []).extend(found)
            index = wanted.get("index") if isinstance(wanted, dict) else None
            if isinstance(index, str) and indexes.get(index):
                content.sources[canonicalize_name(package)] = (index, indexes[index])
    return content


def _indexes(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses of indexes besides the first, which is everybody's own."""
    sources = document.get("source")
    return {
        str(source.get("name")): str(source.get("url", ""))
        for source in (sources[1:] if isinstance(sources, list) else ())
        if isinstance(source, dict)
    }
