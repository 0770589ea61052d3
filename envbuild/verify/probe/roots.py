"""Paths of a file system that may lie in a folder: absolute links inside it stay inside."""

import os
from pathlib import Path

_MOST_LINKS = 40
"""As many as Linux follows (path_resolution(7))."""


def place(root: Path, path: str) -> Path:
    """Return where an absolute ``path`` of the file system at ``root`` lies; nothing is followed."""
    return root / path.lstrip("/")


def real_path(root: Path, path: str) -> str | None:
    """Return ``path`` with all links followed within ``root``; None when it leads nowhere."""
    parts = [part for part in reversed(path.split("/")) if part]
    current = ""
    links = 0
    while parts:
        part = parts.pop()
        if part == ".":
            continue
        if part == "..":
            current = current.rpartition("/")[0]
            continue
        here = f"{current}/{part}"
        try:
            # Path.readlink() would tidy what the link says
            target = os.readlink(place(root, here))  # noqa: PTH115
        except OSError:
            current = here
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        if target.startswith("/"):
            current = ""
        parts.extend(name for name in reversed(target.split("/")) if name)
    return (current or "/") if os.path.lexists(place(root, current)) else None


def read_text(path: Path) -> str | None:
    """Return a file's text, or None when there is none to be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
