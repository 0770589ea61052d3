"""What a lock of another tool says, in one form for all formats."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from envbuild.errors import Problem
from envbuild.spec.foreign.target_markers import MarkerTarget, machine_marker
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirements import normalized_requirement

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class ForeignPin:
    """One distribution of a lock."""

    name: str
    """Normalised."""

    version: str | None = None
    """None: its address says it."""

    address: str | None = None
    """``https://…`` or ``git+https://…@commit``, where it comes from no index."""

    index: str | None = None
    """Address of the index it comes from, where the lock says so; without credentials."""

    markers: tuple[str, ...] = ()
    """Where it is wanted: any of them holds; none: everywhere."""

    def holds(self, target: MarkerTarget) -> bool:
        """Return whether it is wanted on ``target``."""
        return not self.markers or any(target.holds(marker) for marker in self.markers)


@dataclass(slots=True)
class ForeignLock:
    """What one lock of another tool holds."""

    pins: list[ForeignPin] = field(default_factory=list)
    """In the order of the lock; a distribution of several versions is there several times."""

    roots: list[str] = field(default_factory=list)
    """What it was made for, as requirements (PEP 508), if it says so."""

    pythons: list[tuple[str, bool]] = field(default_factory=list)
    """Versions of Python it was made for, and whether that is a range."""

    project: str | None = None
    """Normalised name of the project it was made for."""

    local: set[str] = field(default_factory=set)
    """Normalised names of distributions that are folders: the project itself, members of a workspace."""

    problems: list[Problem] = field(default_factory=list)
    choose: Callable[[str, MarkerTarget, list[ForeignPin]], list[ForeignPin]] = lambda _name, _target, pins: (
        pins
    )
    """Which of several versions that all hold on a target is meant there, if the format says more than
    markers."""

    def add(self, pin: ForeignPin) -> None:
        """Take in one distribution.

        :raises RefusedError: nothing says which version it is, or its address cannot be locked.
        """
        if not pin.version and not pin.address:
            raise RefusedError("has neither a version nor an address")
        if pin.address:
            normalized_requirement(f"{pin.name} @ {pin.address}")
        if pin not in self.pins:
            self.pins.append(pin)

    @property
    def default_index(self) -> str | None:
        """Address of the index that most come from; None where the lock names only other ones."""
        indexes = [pin.index for pin in self.pins if not pin.address]
        if not indexes or None in indexes:
            return None
        return max(sorted({index for index in indexes if index}), key=indexes.count)

    def own_indexes(self) -> dict[str, str]:
        """Return the distributions that come from an index of their own, and its address."""
        default = self.default_index
        return {pin.name: pin.index for pin in self.pins if pin.index and pin.index != default}

    def on(self, target: MarkerTarget) -> Iterator[tuple[str, list[ForeignPin]]]:
        """Yield each distribution that is wanted on ``target``, and what it may be: one, or a problem."""
        by_name: dict[str, list[ForeignPin]] = {}
        for pin in self.pins:
            by_name.setdefault(pin.name, [])
            if pin not in by_name[pin.name] and pin.holds(target):
                by_name[pin.name].append(pin)
        for name, pins in sorted(by_name.items()):
            yield name, pins if len(pins) < 2 else self.choose(name, target, pins)  # noqa: PLR2004


@dataclass(slots=True)
class DecidedPins:
    """What a lock says for the targets of one environment."""

    constraints: dict[str, list[str]] = field(default_factory=dict)
    """Normalised name → ``name==version``, with a marker if not for all targets."""

    addresses: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Normalised name → where it comes from, and the marker or nothing."""

    indexes: dict[str, str] = field(default_factory=dict)
    """Normalised name → address of the index it comes from, where that is not the one most come from."""

    problems: list[Problem] = field(default_factory=list)


def decide(lock: ForeignLock, targets: Iterable[MarkerTarget], file: str) -> DecidedPins:
    """Return which version of each distribution ``lock`` means on ``targets``."""
    decided = DecidedPins(problems=list(lock.problems))
    targets = tuple(targets)
    where: dict[ForeignPin, list[MarkerTarget]] = {}
    for target in targets:
        try:
            for name, pins in lock.on(target):
                if len({(pin.version, pin.address) for pin in pins}) > 1:
                    decided.problems.append(_several(name, pins, target, file))
                elif pins:
                    where.setdefault(pins[0], []).append(target)
        except RefusedError as error:
            decided.problems.append(error.at(file))
    for pin, holding in sorted(where.items(), key=lambda item: (item[0].name, item[0].version or "")):
        marker = "" if len(holding) == len(targets) else machine_marker(target.platform for target in holding)
        if pin.index and pin.index != lock.default_index:
            decided.indexes[pin.name] = pin.index
        if pin.address:
            decided.addresses.setdefault(pin.name, []).append((pin.address, marker))
        else:
            text = f"{pin.name}=={pin.version}" + (f" ; {marker}" if marker else "")
            decided.constraints.setdefault(pin.name, []).append(text)
    decided.problems = list(dict.fromkeys(decided.problems))
    return decided


def _several(name: str, pins: Iterable[ForeignPin], target: MarkerTarget, file: str) -> Problem:
    versions = " and ".join(sorted(pin.version or pin.address or "" for pin in pins))
    return Problem(
        file,
        f"`{name}` is there as {versions}, and nothing says which is meant for Python {target.python}",
        f'ask for one of them in [pip] packages, and let the lock not decide: unpinned = ["{name}"]',
    )


# --- what the formats share ---------------------------------------------------------------------


def tables(
    document: Mapping[str, Any], key: str, where: str, problems: list[Problem]
) -> list[dict[str, Any]]:
    """Return the tables of an array of tables; what is none is a problem."""
    items = document.get(key, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        problems.append(Problem(f"{where}: {key}", "must be an array of tables"))
        return []
    return items


def read_packages(
    document: Mapping[str, Any],
    key: str,
    file: str,
    lock: ForeignLock,
    read: Callable[[Mapping[str, Any], ForeignLock], None],
) -> list[dict[str, Any]]:
    """Return the packages of a lock's array ``key``, each given to ``read``; what it refuses is a problem."""
    packages = tables(document, key, file, lock.problems)
    for index, package in enumerate(packages):
        try:
            read(package, lock)
        except RefusedError as error:
            lock.problems.append(error.at(f"{file}: {key}[{index}]"))
    return packages


def text_at(table: Any, *path: str) -> str | None:
    """Return the text at ``path``, or None if there is none."""
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, str) else None


def name_and_version(table: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return name, normalised, and version of an entry.

    :raises RefusedError: one of them is none.
    """
    plain, version = checked_name(table.get("name")), table.get("version")
    if version is None:
        return plain, None
    return plain, checked_version(version)


def checked_name(name: Any) -> str:
    """Return a name, normalised.  :raises RefusedError: it is none."""
    try:
        return canonicalize_name(name, validate=True)
    except (InvalidName, TypeError) as error:
        raise RefusedError("names no package") from error


def checked_version(version: Any) -> str:
    """Return a version as it is written.  :raises RefusedError: it is none."""
    try:
        Version(version)
    except (InvalidVersion, TypeError) as error:
        raise RefusedError("has no version") from error
    return str(version)


def git_address(url: str, commit: str | None, subdirectory: str | None = None) -> str:
    """Return the address of a commit.

    :raises RefusedError: there is no commit, or no address.
    """
    if not commit or not _COMMIT.fullmatch(commit):
        raise RefusedError("is from a repository, without its commit")
    plain = url.removeprefix("git+").partition("#")[0].partition("?")[0]
    if plain.startswith("git@"):
        host, _, path = plain.removeprefix("git@").partition(":")
        plain = f"ssh://git@{host}/{path}"
    return f"git+{plain}@{commit}" + (f"#subdirectory={subdirectory}" if subdirectory else "")


def plain_index(url: str) -> str:
    """Return the address of an index without credentials, query and the slash at its end."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
