"""The folder an environment is looked for in: the one place of this room that touches the disk."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from envbuild.discovery.content import FileContent
from envbuild.errors import Problem
from envbuild.spec.files import read_text
from envbuild.spec.problems import RefusedError

MOST_FILES = 64
"""Files one pattern may match: what comes after these is reported, not read."""

_DEEPEST = 6
_MOST_FOLDERS = 2000
_NOT_OURS = frozenset({"node_modules", "site-packages", "venv", "build", "dist", "__pycache__"})


@dataclass(slots=True)
class ProjectFolder:
    """Files of one folder, by names relative to it."""

    path: Path
    problems: list[Problem] = field(default_factory=list)
    """Files that are there and cannot be read."""

    taken: set[str] = field(default_factory=set)
    """Files that some reader has read, or that another file stands for."""

    def has(self, file: str) -> bool:
        """Return whether there is such a file."""
        return (self.path / file).is_file()

    def read(self, file: str) -> str | None:
        """Return the text of a file, or None when there is none that can be read."""
        if not self.has(file):
            return None
        try:
            return read_text(self.path / file, shown=file, inside=self.path)
        except RefusedError as error:
            self.problems.append(error.at(file))
            return None

    def line_of(self, file: str, requirement: str) -> str:
        """Return ``file:line`` of the first line that has a requirement, or its name; else the file."""
        lines = [line.lower().replace("_", "-") for line in (self.read(file) or "").splitlines()]
        plain = re.split(r"[\s\[<>=!~;@]", requirement)[0].lower().replace("_", "-")
        word = re.compile(rf"(?<![\w./-]){re.escape(plain)}(?![\w-])")
        for fits in (lambda line: requirement.lower() in line, word.search):
            for number, line in enumerate(lines, start=1):
                if not line.lstrip().startswith("#") and fits(line):
                    return f"{file}:{number}"
        return file

    def find(self, *patterns: str) -> list[str]:
        """Return the files that match, in the order of the patterns, those of one pattern sorted."""
        found = dict[str, None]()
        for pattern in patterns:
            matches = sorted(self._matching(pattern))
            found |= dict.fromkeys(matches[:MOST_FILES])
            if len(matches) > MOST_FILES:
                self.problems.append(
                    Problem(pattern, f"{len(matches)} files match, of which {MOST_FILES} are read")
                )
        return list(found)

    def deeper(self, *patterns: str) -> list[str]:
        """Return files of folders below that match by their names, sorted; the first ones that are found."""
        found: list[str] = []
        pending = [(self.path, 0)]
        for _ in range(_MOST_FOLDERS):
            if not pending:
                break
            folder, depth = pending.pop(0)
            try:
                entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                if entry.is_symlink():
                    continue
                if entry.is_dir():
                    if depth < _DEEPEST and not entry.name.startswith(".") and entry.name not in _NOT_OURS:
                        pending.append((entry, depth + 1))
                elif depth and any(fnmatch(entry.name.lower(), pattern) for pattern in patterns):
                    found.append(entry.relative_to(self.path).as_posix())
        return sorted(found)

    def _matching(self, pattern: str) -> Iterator[str]:
        folder, _, name = pattern.rpartition("/")
        try:
            entries = list((self.path / folder).iterdir()) if not _has_wildcard(folder) else []
        except OSError:
            return
        for entry in entries:
            if fnmatch(entry.name.lower(), name.lower()) and entry.is_file():
                yield f"{folder}/{entry.name}" if folder else entry.name


Reader = Callable[[ProjectFolder], Iterator[FileContent]]
"""Reads all files of one kind."""


def each(patterns: tuple[str, ...], read: Callable[[str, str], FileContent]) -> Reader:
    """Return a reader of every file that matches; ``read`` gets the text of one and its name."""

    def read_all(folder: ProjectFolder) -> Iterator[FileContent]:
        for file in folder.find(*patterns):
            if file not in folder.taken:
                yield from _read(folder, file, read)

    return read_all


def first(patterns: tuple[str, ...], read: Callable[[str, str], FileContent]) -> Reader:
    """Return a reader of the first file that matches; the others are reported."""

    def read_first(folder: ProjectFolder) -> Iterator[FileContent]:
        chosen, *others = folder.find(*patterns) or [""]
        if chosen:
            yield from _read(folder, chosen, read)
        folder.problems += [Problem(file, f"not taken beside {chosen}") for file in others]

    return read_first


def _read(folder: ProjectFolder, file: str, read: Callable[[str, str], FileContent]) -> Iterator[FileContent]:
    text = folder.read(file)
    if text is not None:
        folder.taken.add(file)
        yield read(text, file)


def _has_wildcard(folder: str) -> bool:
    return any(mark in folder for mark in "*?[")
