"""``Pipfile.lock``: JSON with pins under ``default`` and ``develop``."""

import json
from collections.abc import Mapping
from typing import Any

from envbuild.errors import Problem
from envbuild.spec.foreign.pins import (
    ForeignLock,
    ForeignPin,
    checked_name,
    checked_version,
    git_address,
    plain_index,
    text_at,
)
from envbuild.spec.problems import RefusedError

_SECTIONS = ("default", "develop")


def read_pipfile_lock(text: str, file: str) -> ForeignLock:
    """Return what a Pipfile.lock holds."""
    lock = ForeignLock()
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        lock.problems.append(Problem(f"{file}:{error.lineno}", "is not JSON"))
        return lock
    except (ValueError, RecursionError):
        lock.problems.append(Problem(file, "is not JSON anybody would write"))
        return lock
    if not isinstance(document, dict) or not isinstance(document.get("default", {}), dict):
        lock.problems.append(Problem(file, "is not a Pipfile.lock"))
        return lock
    requires = ("_meta", "requires")
    for key in ("python_full_version", "python_version"):
        if python := text_at(document, *requires, key):
            lock.pythons.append((python, False))
            break
    indexes = _indexes(document)
    for section in _SECTIONS:
        packages = document.get(section)
        for name, entry in sorted(packages.items()) if isinstance(packages, dict) else ():
            try:
                _entry(name, entry, indexes, lock)
            except RefusedError as error:
                lock.problems.append(error.at(f"{file}: {section}.{name}"))
        if section == "default":
            lock.roots = [pin.name for pin in lock.pins]
    return lock


def _indexes(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses of indexes besides the first, which is everybody's own."""
    meta = document.get("_meta")
    sources = meta.get("sources") if isinstance(meta, dict) else None
    return {
        str(source["name"]): plain_index(str(source["url"]))
        for source in (sources[1:] if isinstance(sources, list) else ())
        if text_at(source, "name") and text_at(source, "url")
    }


def _entry(name: str, entry: Any, indexes: Mapping[str, str], lock: ForeignLock) -> None:
    if not isinstance(entry, dict):
        raise RefusedError("is not a package")
    plain = checked_name(name)
    if "path" in entry or (entry.get("editable") is True and not text_at(entry, "git")):
        lock.local.add(plain)
        return
    address = text_at(entry, "file")
    if url := text_at(entry, "git"):
        address = git_address(url, text_at(entry, "ref"), text_at(entry, "subdirectory"))
    marker, version = text_at(entry, "markers"), None
    if address is None:
        written = text_at(entry, "version") or ""
        if not written.startswith("=="):
            raise RefusedError("has no version")
        version = checked_version(written.removeprefix("=="))
    pin = ForeignPin(
        plain,
        version,
        address=address,
        index=indexes.get(text_at(entry, "index") or ""),
        markers=(marker,) if marker else (),
    )
    lock.add(pin)
