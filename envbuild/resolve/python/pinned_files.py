"""Whether an index has files of versions that were chosen elsewhere, for the Python of a target."""

import re
from collections.abc import Iterable, Iterator, Sequence

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from envbuild.discovery.folder import Pinned
from envbuild.errors import NotFoundError
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import DEFAULT_INDEX
from envbuild.remote.index.page import IndexFile

_LINUX = ("manylinux", "musllinux", "linux")


def all_have_wheels(index: PythonIndex, pins: Sequence[Pinned], python: str) -> bool:
    """Return whether each of ``pins`` has a wheel for ``python``; one without any wheel is not counted.

    :raises NetworkError: an index cannot be reached.
    """
    return all(
        _fit(files, python) for _, files in _pages(index, pins) if files and not all(map(_is_source, files))
    )


def unavailable(
    index: PythonIndex, pins: Sequence[Pinned], python: str, *, with_sources: bool
) -> Iterator[tuple[Pinned, str]]:
    """Yield the pins that have no file for ``python``, and why.

    :raises NetworkError: an index cannot be reached.
    """
    for pin, files in _pages(index, pins):
        if files is None:
            yield pin, "the index does not have it"
        elif not files:
            yield pin, f"the index has no version {pin.version}"
        elif not _fit(files, python) and not (with_sources and _has_source(files)):
            sources = ", only sources" if _has_source(files) else ""
            yield pin, f"version {pin.version} has no wheel for Python {python} on Linux{sources}"


def _pages(
    index: PythonIndex, pins: Sequence[Pinned]
) -> Iterator[tuple[Pinned, tuple[IndexFile, ...] | None]]:
    addresses = sorted({pin.index for pin in pins if pin.index})
    names = {url: f"own-{number}" for number, url in enumerate(addresses)}
    asked = index.bound_to({name: url for url, name in names.items()})
    for pin in pins:
        asked.prefetch([pin.name], names.get(pin.index or "", DEFAULT_INDEX))
    for pin in pins:
        try:
            yield pin, asked.page(pin.name, names.get(pin.index or "", DEFAULT_INDEX)).files(pin.version)
        except NotFoundError:
            yield pin, None


def _fit(files: Iterable[IndexFile], python: str) -> bool:
    """Return whether one of the files is a wheel for a Python on Linux."""
    tags: set[Tag] = set()
    for file in files:
        try:
            tags |= parse_wheel_filename(file.filename)[3]
        except InvalidWheelFilename:
            continue
    minor = int(python.split(".")[1])
    linux = {tag for tag in tags if tag.platform == "any" or tag.platform.startswith(_LINUX)}
    return any(_fits(tag, minor) for tag in linux)


def _fits(tag: Tag, minor: int) -> bool:
    found = re.fullmatch(r"(cp|py)3([0-9]*)", tag.interpreter)
    if found is None:
        return False
    if found[1] == "py" or tag.abi == "abi3":
        return int(found[2] or 0) <= minor
    return found[2] == str(minor)


def _has_source(files: Iterable[IndexFile]) -> bool:
    return any(map(_is_source, files))


def _is_source(file: IndexFile) -> bool:
    return not file.filename.endswith(".whl")
