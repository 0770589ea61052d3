"""Whose each path is: what the locked artifacts bring, at the places dpkg and the build put it."""

import fnmatch
import re
from collections.abc import Iterator
from functools import cached_property

from envbuild.verify.checks.expected_files import ExpectedEntry, ExpectedFiles, Tree
from envbuild.verify.checks.facts import FileEntry
from envbuild.verify.checks.files import FileIndex, describe_difference
from envbuild.verify.checks.target import LockedTarget


class Claims:
    """Which artifacts own which path of a container."""

    def __init__(self, target: LockedTarget, expected: ExpectedFiles, files: FileIndex | None) -> None:
        self._target = target
        self._expected = expected
        self._files = files

    def of_wheel(self, file: str) -> dict[str, ExpectedEntry] | None:
        """Return a wheel's files by absolute path, or None when its tree is not known."""
        tree = self._expected.wheels.get(file)
        if tree is None:
            return None
        return {f"{self._target.prefix}/{path}": entry for path, entry in tree.items()}

    def of_conda(self, file: str) -> dict[str, ExpectedEntry] | None:
        """Return a conda package's files by absolute path, or None when its tree is not known."""
        tree = self._expected.conda.get(file)
        if tree is None:
            return None
        return {f"{self._target.prefix}/{path}": entry for path, entry in tree.items()}

    @cached_property
    def conda_paths(self) -> dict[str, list[ExpectedEntry]]:
        """Every path a conda package owns, with each owner's entry: py-rattler lets one of them win."""
        claims: dict[str, list[ExpectedEntry]] = {}
        for file in self._expected.conda:
            for path, entry in (self.of_conda(file) or {}).items():
                claims.setdefault(path, []).append(entry)
        return claims

    def of_deb(self, file: str) -> Iterator[tuple[str, str, ExpectedEntry]] | None:
        """Return (path in the package, path on disk, entry) of a deb, or None when its tree is not known."""
        tree = self._expected.debs.get(file)
        return None if tree is None else self._places(file, tree)

    @cached_property
    def wheel_paths(self) -> dict[str, ExpectedEntry]:
        """Every path a wheel owns; where two own it the build has made sure that they agree."""
        return {
            path: entry
            for file in self._expected.wheels
            for path, entry in (self.of_wheel(file) or {}).items()
        }

    @cached_property
    def deb_paths(self) -> dict[str, list[ExpectedEntry]]:
        """Every path some deb owns, with each owner's entry: one may replace a file of another."""
        claims: dict[str, list[ExpectedEntry]] = {}
        for file in self._expected.debs:
            for _, path, entry in self.of_deb(file) or ():
                claims.setdefault(path, []).append(entry)
        return claims

    def is_owned_as_found(self, path: str, found: FileEntry) -> bool:
        """Return whether some locked artifact brings exactly this content."""
        entries = [*self.deb_paths.get(path, ()), *self.conda_paths.get(path, ())]
        if path in self.wheel_paths:
            entries.append(self.wheel_paths[path])
        return any(describe_difference(entry, found, mode=found[1]) is None for entry in entries)

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

    def _places(self, file: str, tree: Tree) -> Iterator[tuple[str, str, ExpectedEntry]]:
        name = self._names.get(file)
        for path, entry in tree.items():
            place = path
            diverted = self._diversions.get(path)
            if diverted is not None and diverted[1] != name:
                place = diverted[0]
            yield path, place if self._files is None else self._files.resolve(place), entry
