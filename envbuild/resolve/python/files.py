"""The one file of a release that a target installs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, parse_wheel_filename

from envbuild.remote.index.page import IndexFile
from envbuild.resolve.python.target import TargetPython


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedWheel:
    """What a wheel's file name says."""

    build: BuildTag
    tags: frozenset[Tag]


def choose_file(
    files: Iterable[IndexFile], target: TargetPython, *, snapshot: date | None = None, keep: str | None = None
) -> IndexFile | None:
    """Return the wheel of one release that ``target`` installs, or None when none fits.

    Not yanked before yanked, then the most specific tag, then the highest build number (binary distribution
    format), then the name: the order of ``files`` does not matter.  ``keep`` is the name of a file that stays
    chosen while it fits and is not yanked: what is locked does not change by itself.
    """
    fitting = [file for file in files if fits(file, target, snapshot=snapshot)]
    for file in fitting:
        if file.filename == keep and file.yanked is None:
            return file
    return min(fitting, key=lambda file: _order(file, target), default=None)


def fits(file: IndexFile, target: TargetPython, *, snapshot: date | None = None) -> bool:
    """Return whether ``file`` is a wheel that ``target`` can load and that was there at the snapshot."""
    return (
        may_fit(file.filename, target)
        and parse_wheel(file.filename) is not None
        and python_allowed(file.requires_python, target)
        and not too_new(file, snapshot)
    )


def may_fit(filename: str, target: TargetPython) -> bool:
    """Return whether a wheel's name has a tag that ``target`` accepts; much quicker than parsing the name."""
    platforms = filename.removesuffix(".whl").rpartition("-")[2]
    if "any" not in platforms and target.platform.machine not in platforms:
        return False
    parts = filename.removesuffix(".whl").rsplit("-", 3)
    if len(parts) != 4 or not filename.endswith(".whl"):  # noqa: PLR2004 - name and three sets of tags
        return False
    _, pythons, abis, _ = parts
    return any(
        f"{python}-{abi}-{platform}" in target.tag_names
        for platform in platforms.split(".")
        for abi in abis.split(".")
        for python in pythons.split(".")
    )


def end_of_snapshot(snapshot: date) -> datetime:
    """Return the first moment (UTC) that is after the snapshot's day."""
    return datetime.combine(snapshot + timedelta(days=1), time(), tzinfo=UTC)


def too_new(file: IndexFile, snapshot: date | None) -> bool:
    """Return whether ``file`` came after the snapshot, or nobody says when it came."""
    if snapshot is None:
        return False
    return file.uploaded is None or file.uploaded >= end_of_snapshot(snapshot)


def python_allowed(requires_python: str | None, target: TargetPython) -> bool:
    """Return whether ``Requires-Python`` admits the target; one that cannot be read forbids nothing."""
    if not requires_python:
        return True
    try:
        return _specifiers(requires_python).contains(target.version, prereleases=True)
    except InvalidSpecifier:
        return True


@lru_cache(maxsize=4096)
def _specifiers(text: str) -> SpecifierSet:
    return SpecifierSet(text)


@lru_cache(maxsize=16384)
def parse_wheel(filename: str) -> ParsedWheel | None:
    """Return what a wheel's name says, or None when it is no wheel."""
    try:
        _, _, build, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return ParsedWheel(build=build, tags=tags)


def _order(file: IndexFile, target: TargetPython) -> tuple[bool, int, int, str, str]:
    wheel = parse_wheel(file.filename)
    if wheel is None:
        raise ValueError(f"{file.filename} is no wheel")
    number, suffix = wheel.build or (-1, "")
    best = min(target.rank[tag] for tag in wheel.tags if tag in target.rank)
    return file.yanked is not None, best, -number, _reversed_text(suffix), file.filename


def _reversed_text(text: str) -> str:
    """Return a text that sorts the other way round; build tags end in a few ASCII letters."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in text) + chr(0x10FFFF)
