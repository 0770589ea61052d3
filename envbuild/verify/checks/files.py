"""The files a container has, found under the names packages know them by."""

import posixpath

from envbuild.verify.checks.expected_files import ExpectedEntry
from envbuild.verify.checks.facts import DeepFacts, FileEntry

_KINDS = {"f": "a file", "l": "a link", "d": "a folder", "o": "a special file"}
_DIGITS = 12
"""Hexadecimal digits of a digest that are shown."""


class FileIndex:
    """Looks up paths as a running system would: links among the parents are followed, the last is not."""

    def __init__(self, deep: DeepFacts) -> None:
        self.deep = deep
        self._folders: dict[str, str] = {"/": "/"}
        self._mounts = frozenset(deep.mounts)

    def resolve(self, path: str) -> str:
        """Return where ``path`` really lies: ``/bin/ls`` is ``/usr/bin/ls`` on a merged-/usr system."""
        parent, name = posixpath.split(path)
        folder = self._resolve_folder(parent, depth=0)
        return f"{folder.rstrip('/')}/{name}"

    def get(self, path: str) -> FileEntry | None:
        """Return what lies at ``path``, if anything."""
        return self.deep.files.get(self.resolve(path))

    def is_mounted(self, path: str) -> bool:
        """Return whether ``path`` lies on something mounted over the image."""
        if not self._mounts:
            return False
        current = self.resolve(path)
        while current != "/":
            if current in self._mounts:
                return True
            current = posixpath.dirname(current)
        return False

    def follow(self, path: str) -> str | None:
        """Return the path of what a link leads to in the end; None for a broken one or a circle."""
        current = self.resolve(path)
        for _ in range(40):  # as many links as Linux follows (path_resolution(7))
            found = self.deep.files.get(current)
            if found is None:
                return None
            if found[0] != "l":
                return current
            target = posixpath.join(posixpath.dirname(current), found[3] or "")
            current = self.resolve(posixpath.normpath(target))
        return None

    def _resolve_folder(self, path: str, *, depth: int) -> str:
        known = self._folders.get(path)
        if known is not None:
            return known
        parent, name = posixpath.split(path)
        here = f"{self._resolve_folder(parent, depth=depth).rstrip('/')}/{name}"
        found = self.deep.files.get(here)
        if found is not None and found[0] == "l" and found[3] is not None and depth < 40:  # noqa: PLR2004
            target = posixpath.normpath(posixpath.join(posixpath.dirname(here), found[3]))
            here = self._resolve_folder(target, depth=depth + 1)
        self._folders[path] = here
        return here


def describe_difference(
    expected: ExpectedEntry, found: FileEntry, *, mode: int | None = None
) -> tuple[str, str] | None:
    """Return (expected, found) in words, or None when they agree.

    ``mode`` replaces the locked permission bits.  Of folders only their being folders counts, of links their
    target.  A file nobody could read is no difference: see :func:`is_unread`.
    """
    if expected.kind != found[0]:
        return _describe(expected.kind, expected.content), _describe(found[0], found[3])
    if expected.kind == "l" and expected.content != found[3]:
        return f"a link to {expected.content}", f"a link to {found[3]}"
    if expected.kind != "f":
        return None
    if found[3] is not None and expected.content != found[3]:
        return _describe("f", expected.content), _describe("f", found[3])
    wanted = expected.mode if mode is None else mode
    if wanted != found[1]:
        return f"mode {wanted:04o}", f"mode {found[1]:04o}"
    return None


def is_unread(expected: ExpectedEntry, found: FileEntry) -> bool:
    """Return whether ``found`` is a file that the probe was not allowed to read."""
    return expected.kind == "f" and found[0] == "f" and found[3] is None


def _describe(kind: str, content: str | None) -> str:
    if kind == "f" and content:
        return f"sha256 {content[:_DIGITS]}…"
    if kind == "l":
        return f"a link to {content}"
    return _KINDS[kind]
