"""Folders removed with all that is in them, which a hostile program may have filled."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path


def remove_folder(folder: Path) -> None:
    """Remove a folder as far as it can be removed, however deep it is; no link is followed."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        # it goes one call, and one open file, deeper with each folder
        with contextlib.suppress(OSError):
            _remove_deep(folder)


def _remove_deep(folder: Path) -> None:
    """Remove a folder by moving what is deep in it up: no path gets long, and nothing calls itself.

    :raises OSError: something in it cannot be removed.
    """
    waiting = _folders_in(folder)
    while waiting:
        current = waiting.pop()
        for below in _folders_in(current):
            # a name that nothing in it has
            waiting.append(below.rename(folder / secrets.token_hex(16)))
        current.rmdir()
    folder.rmdir()


def _folders_in(folder: Path) -> list[Path]:
    """Remove what is in a folder but folders; return those."""
    with os.scandir(folder) as entries:
        found = [(Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in entries]
    for path, is_folder in found:
        if not is_folder:
            path.unlink()
    return [path for path, is_folder in found if is_folder]
