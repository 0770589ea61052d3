"""``poetry.lock``: pins, with markers from version 2.1 of the format on."""

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

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
from envbuild.spec.manifests.poetry_versions import poetry_specifiers
from envbuild.spec.problems import RefusedError


def read_poetry_lock(document: Mapping[str, Any], file: str) -> ForeignLock:
    """Return what a poetry.lock holds."""
    lock = ForeignLock()
    if python := text_at(document, "metadata", "python-versions"):
        lock.pythons += _python(python)
    packages = read_packages(document, "package", file, lock, _package)
    lock.choose = _ByDependants(packages).choose
    return lock


def _python(text: str) -> Iterator[tuple[str, bool]]:
    try:
        alternatives = poetry_specifiers(text)
    except RefusedError:
        return
    if joined := "|".join(alternatives):
        yield joined, True


def _package(package: Mapping[str, Any], lock: ForeignLock) -> None:
    name, version = name_and_version(package)
    kind, url = text_at(package, "source", "type"), text_at(package, "source", "url")
    if kind in {"directory", "file"}:
        lock.local.add(name)
        return
    address = index = None
    if kind == "git" and url:
        commit = text_at(package, "source", "resolved_reference")
        address = git_address(url, commit, text_at(package, "source", "subdirectory"))
    elif kind == "url":
        address = url
    elif kind == "legacy" and url:
        index = plain_index(url)
    lock.add(ForeignPin(name, version, address=address, index=index, markers=_markers(package)))


def _markers(package: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the markers of an entry: one, or one for each group it is in."""
    written = package.get("markers")
    if isinstance(written, str):
        return (written,)
    if not isinstance(written, dict):
        return ()
    groups = package.get("groups")
    if isinstance(groups, list) and any(group not in written for group in groups):
        return ()  # one of the groups wants it everywhere
    return tuple(str(marker) for _, marker in sorted(written.items()))


class _ByDependants:
    """Chooses among several versions by what other packages of the lock ask for, as the format 1 needs."""

    def __init__(self, packages: list[dict[str, Any]]) -> None:
        self._packages = packages

    def choose(self, name: str, target: MarkerTarget, pins: list[ForeignPin]) -> list[ForeignPin]:
        """Return the newest that fits the target's Python and all that is asked of it."""
        python = target.python if target.python.count(".") > 1 else f"{target.python}.20"
        fitting = [pin for pin in pins if self._allows_python(pin, python)]
        asked = [text for text in self._asked(name, target) if text]
        wanted = [pin for pin in fitting if all(_contains(text, pin.version) for text in asked)]
        left = wanted or fitting or pins
        return [max(left, key=lambda pin: Version(pin.version or "0"))]

    def _allows_python(self, pin: ForeignPin, python: str) -> bool:
        for package in self._packages:
            if (
                canonicalize_name(str(package.get("name"))) == pin.name
                and package.get("version") == pin.version
            ):
                return _contains(text_at(package, "python-versions") or "", python)
        return True

    def _asked(self, name: str, target: MarkerTarget) -> Iterator[str]:
        for package in self._packages:
            dependencies = package.get("dependencies")
            for other, wanted in dependencies.items() if isinstance(dependencies, dict) else ():
                if canonicalize_name(str(other)) != name:
                    continue
                for item in wanted if isinstance(wanted, list) else [wanted]:
                    if isinstance(item, str):
                        yield item
                    elif target.holds(text_at(item, "markers")) and "optional" not in item:
                        yield text_at(item, "version") or ""


def _contains(text: str, version: str | None) -> bool:
    try:
        return version is None or any(
            SpecifierSet(part).contains(version, prereleases=True) for part in poetry_specifiers(text)
        )
    except (RefusedError, InvalidSpecifier):
        return True
