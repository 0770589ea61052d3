"""Whose each path is: what the locked artifacts bring, at the places dpkg and the build put it."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from envbuild.verify.checks.expected_files import ExpectedEntry, ExpectedFiles, Tree
from envbuild.verify.checks.facts import FileEntry
from envbuild.verify.checks.files import FileIndex, describe_difference
from envbuild.verify.checks.target import LockedTarget

Files = list[tuple[str, str, ExpectedEntry]]
"""Of one package: the path it gives a file, the path on disk, and what is to be there."""

Owners = Mapping[str, list[ExpectedEntry]]
"""By path on disk, what each of its owners has there."""


class Claims:
    """Which artifacts own which path of a container."""

    def __init__(self, target: LockedTarget, expected: ExpectedFiles, files: FileIndex | None) -> None:
        self._target = target
        self._expected = expected
        self._files = files

    def of_wheel(self, file: str) -> Files | None:
        """Return a wheel's files, or None when its tree is not known."""
        return self._in_prefix(self._expected.wheels.get(file))

    def of_conda(self, file: str) -> Files | None:
        """Return a conda package's files, or None when its tree is not known."""
        return self._in_prefix(self._expected.conda.get(file))

    def of_deb(self, file: str) -> Files | None:
        """Return a deb's files, or None when its tree is not known."""
        tree = self._expected.debs.get(file)
        return None if tree is None else list(self._places(file, tree))

    @cached_property
    def wheel_paths(self) -> Owners:
        """Every path a wheel owns; where two own it the build has made sure that they agree."""
        return _owners(map(self.of_wheel, self._expected.wheels))

    @cached_property
    def conda_paths(self) -> Owners:
        """Every path a conda package owns: py-rattler lets one of several win."""
        return _owners(map(self.of_conda, self._expected.conda))

    @cached_property
    def deb_paths(self) -> Owners:
        """Every path a deb owns: one may replace a file of another."""
        return _owners(map(self.of_deb, self._expected.debs))

    def is_owned_as_found(self, path: str, found: FileEntry) -> bool:
        """Return whether some locked artifact brings exactly this content."""
        return any(
            describe_difference(entry, found, mode=found[1]) is None
            for owners in (self.deb_paths, self.conda_paths, self.wheel_paths)
            for entry in owners.get(path, ())
        )

    def may_be_absent(self, path: str) -> bool:
        """Return whether dpkg was told not to unpack ``path`` (``path-exclude``): the last rule wins."""
        excluded = False
        for sign, pattern in self._filters:
            if pattern.fullmatch(path):
                excluded = sign == "-"
        return excluded

    @cached_property
    def _filters(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        # dpkg's * matches slashes too, as Python's does
        return tuple(
            (rule[:1], re.compile(fnmatch.translate(rule[1:]))) for rule in self._target.base.excludes
        )

    @cached_property
    def _diversions(self) -> dict[str, tuple[str, str]]:
        """(where it goes, whose own file stays) by path; only what a locked package asked for counts."""
        if self._files is None:
            return {}
        locked = {deb.name for deb in self._target.debs}
        locked |= {line.partition("=")[0] for line in self._target.base.debs}
        return {path: (to, by) for path, to, by in self._files.deep.diversions if by in locked}

    @cached_property
    def _names(self) -> dict[str, str]:
        return {deb.file: deb.name for deb in self._target.debs}

    def _in_prefix(self, tree: Tree | None) -> Files | None:
        if tree is None:
            return None
        places = ((f"{self._target.prefix}/{path}", entry) for path, entry in tree.items())
        return [(place, place, entry) for place, entry in places]

    def _places(self, file: str, tree: Tree) -> Iterator[tuple[str, str, ExpectedEntry]]:
        name = self._names.get(file)
        for path, entry in tree.items():
            place = path
            diverted = self._diversions.get(path)
            if diverted is not None and diverted[1] != name:
                place = diverted[0]
            yield path, place if self._files is None else self._files.resolve(place), entry


def _owners(packages: Iterable[Files | None]) -> Owners:
    owners: dict[str, list[ExpectedEntry]] = {}
    for files in packages:
        for _, place, entry in files or ():
            owners.setdefault(place, []).append(entry)
    return owners
