"""``uv.lock``: pins with forks.

They are chosen by ``resolution-markers`` and, where those say too little, by walking
what the project asks for.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from packaging.utils import canonicalize_name

from envbuild.errors import Problem
from envbuild.spec.foreign.pins import (
    ForeignLock,
    ForeignPin,
    git_address,
    name_and_version,
    plain_index,
    read_packages,
    text_at,
)
from envbuild.spec.foreign.target_markers import MarkerTarget

_LOCAL = ("editable", "virtual", "directory", "path")


def read_uv_lock(document: Mapping[str, Any], file: str) -> ForeignLock:
    """Return what a uv.lock holds."""
    lock = ForeignLock()
    if document.get("version") != 1:
        lock.problems.append(Problem(f"{file}: version", "only version 1 of the format is known"))
        return lock
    if python := text_at(document, "requires-python"):
        lock.pythons.append((python, True))
    packages = read_packages(document, "package", file, lock, _package)
    lock.choose = _Walk(packages).choose
    return lock


def _package(package: Mapping[str, Any], lock: ForeignLock) -> None:
    name, version = name_and_version(package)
    source = package.get("source")
    source = source if isinstance(source, dict) else {}
    if any(key in source for key in _LOCAL):
        lock.local.add(name)
        if source.get("editable", source.get("virtual")) == ".":
            lock.roots += _roots(package)
            lock.project = name
        return
    markers = tuple(str(marker) for marker in _list(package.get("resolution-markers")))
    lock.add(
        ForeignPin(
            name,
            version,
            address=_address(source),
            index=plain_index(source["registry"]) if text_at(source, "registry") else None,
            markers=markers,
        )
    )


def _address(source: Mapping[str, Any]) -> str | None:
    if url := text_at(source, "git"):
        parts = urlsplit(url)
        subdirectory = parse_qs(parts.query).get("subdirectory", [None])[0]
        return git_address(url, parts.fragment, subdirectory)
    return text_at(source, "url")


def _roots(package: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the project itself requires, without its extras."""
    metadata = package.get("metadata")
    for item in _list(metadata.get("requires-dist") if isinstance(metadata, dict) else None):
        marker = text_at(item, "marker")
        if not text_at(item, "name") or (marker and "extra ==" in marker):
            continue
        extras = ",".join(str(extra) for extra in _list(item.get("extras")))
        specifier = text_at(item, "specifier") or ""
        yield f"{item['name']}{f'[{extras}]' if extras else ''}{specifier}" + (
            f" ; {marker}" if marker else ""
        )


class _Walk:
    """What is reached from the project, for packages that are there in several versions."""

    def __init__(self, packages: list[dict[str, Any]]) -> None:
        self._has_root = any(map(_is_root, packages))
        self._packages: dict[str, list[dict[str, Any]]] = {}
        for package in packages:
            self._packages.setdefault(str(package.get("name")), []).append(package)
        self._reached: dict[MarkerTarget, set[tuple[str, str | None]]] = {}

    def choose(self, name: str, target: MarkerTarget, pins: list[ForeignPin]) -> list[ForeignPin]:
        if target not in self._reached:
            self._reached[target] = self._reach(target)
        reached = [pin for pin in pins if (name, pin.version) in self._reached[target]]
        return reached if self._has_root else pins

    def _reach(self, target: MarkerTarget) -> set[tuple[str, str | None]]:
        seen: set[tuple[str, str | None, str]] = set()
        pending = [
            (package, "") for items in self._packages.values() for package in items if _is_root(package)
        ]
        pending += [(package, extra) for package, _ in pending for extra in target.extras]
        while pending:
            package, extra = pending.pop()
            key = (canonicalize_name(str(package.get("name"))), package.get("version"), extra)
            if key in seen:
                continue
            seen.add(key)
            for edge in _edges(package, extra):
                if target.holds(text_at(edge, "marker")):
                    pending += self._follow(edge, target)
        return {(name, version) for name, version, _ in seen}

    def _follow(self, edge: Mapping[str, Any], target: MarkerTarget) -> Iterator[tuple[dict[str, Any], str]]:
        for package in self._packages.get(str(edge.get("name")), ()):
            if "version" in edge and package.get("version") != edge["version"]:
                continue
            markers = _list(package.get("resolution-markers"))
            if "version" not in edge and markers and not any(target.holds(str(m)) for m in markers):
                continue
            for extra in ("", *map(str, _list(edge.get("extra")))):
                yield package, extra


def _edges(package: Mapping[str, Any], extra: str) -> list[Mapping[str, Any]]:
    if not extra:
        edges = _list(package.get("dependencies"))
    else:
        edges = []
        for key in ("optional-dependencies", "dev-dependencies"):
            table = package.get(key)
            edges += _list(table.get(extra)) if isinstance(table, dict) else []
    return [edge for edge in edges if isinstance(edge, dict)]


def _is_root(package: Mapping[str, Any]) -> bool:
    source = package.get("source")
    return isinstance(source, dict) and ("editable" in source or "virtual" in source)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def conflict_extras(project: str, extras: list[str], groups: list[str]) -> frozenset[str]:
    """Return the names that extras and groups have in a uv.lock: their own, and those of conflicts."""
    names = {*extras, *groups}
    names |= {f"extra-{len(project)}-{project}-{extra}" for extra in extras}
    names |= {f"group-{len(project)}-{project}-{group}" for group in groups}
    return frozenset(names)
