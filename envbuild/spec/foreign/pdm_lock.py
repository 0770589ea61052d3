"""``pdm.lock``: pins with a marker each; extras of one package are entries of their own."""

from collections.abc import Mapping
from typing import Any

from envbuild.spec.foreign.pins import (
    ForeignLock,
    ForeignPin,
    git_address,
    name_and_version,
    read_packages,
    text_at,
)


def read_pdm_lock(document: Mapping[str, Any], file: str) -> ForeignLock:
    """Return what a pdm.lock holds."""
    lock = ForeignLock()
    metadata = document.get("metadata")
    targets = metadata.get("targets") if isinstance(metadata, dict) else None
    for target in targets if isinstance(targets, list) else ():
        if python := text_at(target, "requires_python"):
            lock.pythons.append((python, True))
    read_packages(document, "package", file, lock, _package)
    return lock


def _package(package: Mapping[str, Any], lock: ForeignLock) -> None:
    name, version = name_and_version(package)
    if "path" in package:
        lock.local.add(name)
        return
    address = text_at(package, "url")
    if url := text_at(package, "git"):
        address = git_address(url, text_at(package, "revision"), text_at(package, "subdirectory"))
    marker = text_at(package, "marker")
    pin = ForeignPin(name, version, address=address, markers=(marker,) if marker else ())
    lock.add(pin)
