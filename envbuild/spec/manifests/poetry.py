"""Tables of Poetry in a ``pyproject.toml``, in the words of PEP 508.

Format: Poetry documentation, "The pyproject.toml file" and "Dependency specification".
"""

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from envbuild.spec.direct_references import MOUNT_HINT
from envbuild.spec.manifests.content import (
    AnyRequirement,
    ManifestContent,
    UnusableRequirement,
    WrittenRequirement,
)
from envbuild.spec.manifests.poetry_versions import poetry_specifiers, python_marker
from envbuild.spec.problems import RefusedError, kind_of

_TABLE = "tool.poetry"
_ADDRESSES = ("git", "url")
_LOCAL = ("path", "file")
_KNOWN = frozenset(
    {
        *_ADDRESSES,
        *_LOCAL,
        "version", "extras", "markers", "python", "platform", "optional", "source", "branch", "tag", "rev",
        "ref", "subdirectory", "develop", "editable", "allow-prereleases", "allows-prereleases", "index",
        "sys_platform", "os_name", "platform_machine", "platform_system", "python_version",
        "implementation_name", "platform_python_implementation", "python_full_version",
    }
)  # fmt: skip
_MARKER_KEYS = (
    "sys_platform", "os_name", "platform_machine", "platform_system", "python_version", "implementation_name",
    "platform_python_implementation", "python_full_version",
)  # fmt: skip
"""Keys of a Pipfile that stand for a marker of that name."""


def read_poetry(poetry: Mapping[str, Any], file: str) -> ManifestContent:
    """Return what ``[tool.poetry]`` says."""
    content = ManifestContent()
    name = poetry.get("name")
    content.name = name if isinstance(name, str) else None
    dependencies = _table(poetry, "dependencies")
    optional: dict[str, list[AnyRequirement]] = {}
    for package, wanted in dependencies.items():
        where = f"{file}: {_TABLE}.dependencies.{package}"
        if package == "python":
            _python(wanted, where, content)
            continue
        requirements = list(requirements_of(package, wanted, where))
        if any(isinstance(item, dict) and item.get("optional") for item in _as_list(wanted)):
            optional[canonicalize_name(package)] = requirements
        else:
            content.dependencies += requirements
    for extra, packages in _table(poetry, "extras").items():
        where = f"{file}: {_TABLE}.extras.{extra}"
        content.extras[extra] = list(_extra(packages, optional, where))
    _groups(poetry, file, content)
    _sources(poetry, content)
    return content


def _python(wanted: Any, where: str, content: ManifestContent) -> None:
    try:
        alternatives = poetry_specifiers(wanted if isinstance(wanted, str) else "")
    except RefusedError as error:
        content.problems.append(error.at(where))
        return
    if all(alternatives):
        content.pythons.append(("|".join(alternatives), True, where.partition(":")[0]))


def _extra(
    packages: Any, optional: Mapping[str, list[AnyRequirement]], where: str
) -> Iterator[AnyRequirement]:
    for package in _as_list(packages):
        name = str(package).partition("[")[0]
        yield from optional.get(canonicalize_name(name), [WrittenRequirement.at(where, str(package))])


def _groups(poetry: Mapping[str, Any], file: str, content: ManifestContent) -> None:
    tables = {"dev": (f"{_TABLE}.dev-dependencies", _table(poetry, "dev-dependencies"))}
    for group, table in _table(poetry, "group").items():
        place = f"{_TABLE}.group.{group}.dependencies"
        tables[group] = (place, _table(table if isinstance(table, dict) else {}, "dependencies"))
    for group, (place, packages) in tables.items():
        for package, wanted in packages.items():
            where = f"{file}: {place}.{package}"
            content.groups.setdefault(group, []).extend(requirements_of(package, wanted, where))


def _sources(poetry: Mapping[str, Any], content: ManifestContent) -> None:
    """Note which packages are bound to an index of their own."""
    indexes = {
        item["name"]: item["url"]
        for item in _as_list(poetry.get("source"))
        if isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get("url"), str)
    }
    groups = [table for table in _table(poetry, "group").values() if isinstance(table, dict)]
    tables = [_table(table, "dependencies") for table in (poetry, *groups)]
    for package, wanted in (item for table in tables for item in table.items()):
        for choice in _as_list(wanted):
            source = choice.get("source") if isinstance(choice, dict) else None
            if isinstance(source, str):
                content.sources[canonicalize_name(package)] = (source, indexes.get(source, ""))


def requirements_of(package: str, wanted: Any, where: str) -> Iterator[AnyRequirement]:
    """Yield what one entry of a table asks for: once for each of several constraints."""
    choices = _as_list(wanted)
    for index, choice in enumerate(choices):
        here = where if len(choices) == 1 else f"{where}[{index}]"
        try:
            yield WrittenRequirement.at(here, _requirement(package, choice))
        except RefusedError as error:
            yield UnusableRequirement(here, error)


def _requirement(package: str, wanted: Any) -> str:
    if isinstance(wanted, str):
        wanted = {"version": wanted}
    if not isinstance(wanted, dict):
        raise RefusedError(f"must be a version or a table, not {kind_of(wanted)}")
    if unknown := sorted(set(map(str, wanted)) - _KNOWN):
        raise RefusedError(f"`{unknown[0]}` is not known")
    if any(key in wanted for key in _LOCAL):
        raise RefusedError(f"`{package}` is asked for by path", hint=MOUNT_HINT)
    extras = ",".join(map(str, _as_list(wanted.get("extras", []))))
    head = f"{package}[{extras}]" if extras else package
    marker = _marker(wanted)
    if any(key in wanted for key in _ADDRESSES):
        return f"{head} @ {_address(wanted)}" + (f" ; {marker}" if marker else "")
    # of alternatives the last one is the newest, and what satisfies it satisfies the whole
    specifiers = poetry_specifiers(str(wanted.get("version", "*")))[-1]
    return f"{head}{specifiers}" + (f" ; {marker}" if marker else "")


def _address(wanted: Mapping[str, Any]) -> str:
    if "url" in wanted:
        return str(wanted["url"])
    url = str(wanted["git"])
    if url.startswith("git@"):
        host, _, path = url.removeprefix("git@").partition(":")
        url = f"ssh://git@{host}/{path}"
    revision = next((str(wanted[key]) for key in ("rev", "ref", "tag", "branch") if key in wanted), "")
    subdirectory = wanted.get("subdirectory")
    return (
        f"git+{url.removeprefix('git+')}"
        + (f"@{revision}" if revision else "")
        + (f"#subdirectory={subdirectory}" if subdirectory else "")
    )


def _marker(wanted: Mapping[str, Any]) -> str:
    parts = []
    if isinstance(python := wanted.get("python"), str):
        parts.append(python_marker(python))
    if isinstance(platform := wanted.get("platform"), str):
        parts.append(f'sys_platform == "{platform}"')
    if isinstance(markers := wanted.get("markers"), str):
        parts.append(markers)
    parts += [f"{key} {wanted[key]}" for key in _MARKER_KEYS if isinstance(wanted.get(key), str)]
    parts = [part for part in parts if part]
    return " and ".join(f"({part})" if " or " in part else part for part in parts)


def _table(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
