"""``pylock.toml`` (PEP 751)."""

from collections.abc import Mapping
from typing import Any

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
from envbuild.spec.problems import RefusedError


def read_pylock(document: Mapping[str, Any], file: str) -> ForeignLock:
    """Return what a pylock.toml holds."""
    lock = ForeignLock()
    version = text_at(document, "lock-version") or ""
    if not version.startswith("1."):
        lock.problems.append(Problem(f"{file}: lock-version", "only version 1 of the format is known"))
        return lock
    if python := text_at(document, "requires-python"):
        lock.pythons.append((python, True))
    read_packages(document, "packages", file, lock, _package)
    lock.roots = [pin.name for pin in lock.pins]
    return lock


def _package(package: Mapping[str, Any], lock: ForeignLock) -> None:
    name, version = name_and_version(package)
    if "directory" in package:
        lock.local.add(name)
        return
    address = text_at(package, "archive", "url")
    if isinstance(vcs := package.get("vcs"), dict):
        if vcs.get("type", "git") != "git":
            raise RefusedError("is from a repository that is not of git")
        address = git_address(
            text_at(vcs, "url") or "", text_at(vcs, "commit-id"), text_at(vcs, "subdirectory")
        )
    index, marker = text_at(package, "index"), text_at(package, "marker")
    lock.add(
        ForeignPin(
            name,
            version,
            address=address,
            index=plain_index(index) if index else None,
            markers=(marker,) if marker else (),
        )
    )
