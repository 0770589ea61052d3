"""What killed processes leave behind.  A lock tells their files from those of live ones."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from envbuild.store.locks import create_locked, try_lock
from envbuild.store.store import ADDING, Store

LOCK = ".lock"
"""What the lock file beside a temporary folder ends in."""


def sweep(store: Store) -> None:
    """Remove what cannot be resumed: files that were being added, and staged folders."""
    for path in store.partials_folder.glob(f"{ADDING}*"):
        _remove_unless_locked(path, path)
    sweep_folders(store.contexts_folder)


@contextlib.contextmanager
def temporary_folder(parent: Path, *, prefix: str = "", mode: int = 0o700) -> Iterator[Path]:
    """Yield an empty folder below ``parent``, removed afterwards; after a crash by :func:`sweep_folders`.

    :raises OSError: none can be made there.
    """
    lock, descriptor = create_locked(parent, prefix=prefix, suffix=LOCK)
    folder = lock.with_suffix("")
    try:
        folder.mkdir()
        # whatever the umask
        folder.chmod(mode)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # what cannot be removed, because it belongs to subordinate ids, is found by it again
        if not folder.exists():
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def sweep_folders(parent: Path, *, prefix: str = "") -> None:
    """Remove the temporary folders that killed processes left: their locks are free."""
    for lock in parent.glob(f"{prefix}*{LOCK}"):
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
            if target.exists():
                return False
        lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return True
