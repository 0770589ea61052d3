"""Paths of a tree, found under the names that packages know them by."""

import posixpath
from collections.abc import Mapping

from envbuild.oci.layer_listing import FileRecord

MOST_LINKS = 40
"""As many links as Linux follows (path_resolution(7))."""


class PathIndex:
    """Looks up paths as a running system would: links among the parents are followed, the last is not."""

    def __init__(self, records: Mapping[str, FileRecord]) -> None:
        self._records = records
        self._folders: dict[str, str] = {"/": "/"}

    def resolve(self, path: str) -> str:
        """Return where ``path`` really lies: ``/bin/ls`` is ``/usr/bin/ls`` on a merged-/usr system."""
        parent, name = posixpath.split(path)
        if not name:
            return path
        folder = self._resolve_folder(parent, depth=0)
        return f"{folder.rstrip('/')}/{name}"

    def _resolve_folder(self, path: str, *, depth: int) -> str:
        known = self._folders.get(path)
        if known is not None:
            return known
        parent, name = posixpath.split(path)
        here = f"{self._resolve_folder(parent, depth=depth).rstrip('/')}/{name}"
        found = self._records.get(here)
        if found is not None and found.kind == "l" and found.content is not None and depth < MOST_LINKS:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(here), found.content))
            here = self._resolve_folder(target, depth=depth + 1)
        self._folders[path] = here
        return here
