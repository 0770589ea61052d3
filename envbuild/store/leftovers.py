"""What killed processes leave behind.  A lock tells their files from those of live ones."""

import contextlib
import os
import shutil
from pathlib import Path

from envbuild.store.locks import try_lock
from envbuild.store.store import ADDING, Store

CONTEXT_LOCK = ".lock"
"""What the lock file beside a folder of staged artifacts ends in."""


def sweep(store: Store) -> None:
    """Remove what cannot be resumed: files that were being added, and staged folders."""
    for path in store.partials_folder.glob(f"{ADDING}*"):
        _remove_unless_locked(path, path)
    for lock in store.contexts_folder.glob(f"*{CONTEXT_LOCK}"):
        _remove_unless_locked(lock, lock.with_suffix(""))


def remove_partials(store: Store, *, unused_since: float) -> tuple[int, int]:
    """Remove partial artifacts no live process works on; return how many files and bytes.

    Those written to after ``unused_since`` (seconds since the epoch) are left.
    """
    files = size = 0
    for path in sorted(store.partials_folder.glob("*")):
        with contextlib.suppress(FileNotFoundError):
            state = path.stat()
            if state.st_mtime <= unused_since and _remove_unless_locked(path, path):
                files, size = files + 1, size + state.st_size
    return files, size


def _remove_unless_locked(lock: Path, target: Path) -> bool:
    try:
        descriptor = try_lock(lock)
    except (FileNotFoundError, PermissionError):
        # gone meanwhile, or of another user who shares the folder
        return False
    if descriptor is None:
        return False
    try:
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return True
