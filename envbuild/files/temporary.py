"""Temporary folders.  A lock tells those of live processes from those that killed ones left behind."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from envbuild.files.disk import is_of_disk
from envbuild.files.locks import create_locked, try_lock
from envbuild.files.removal import remove_folder

LOCK = ".lock"
"""What the lock file beside a temporary folder ends in."""


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
        remove_folder(folder)
        # what cannot be removed, because it belongs to subordinate ids, is found by it again
        if not folder.exists():
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def sweep_folders(parent: Path, *, prefix: str = "") -> None:
    """Remove the temporary folders that killed processes left: their locks are free."""
    for lock in parent.glob(f"{prefix}*{LOCK}"):
        remove_unless_locked(lock, lock.with_suffix(""))


def remove_unless_locked(lock: Path, target: Path) -> bool:
    """Remove ``target`` and its lock file if no live process holds the lock; return whether it is gone."""
    try:
        descriptor = try_lock(lock)
    except OSError as error:
        if is_of_disk(error):
            raise
        # gone meanwhile, of another user who shares the folder, or no lock file: a folder, a link
        return False
    if descriptor is None:
        return False
    try:
        if target.is_dir():
            remove_folder(target)
            if target.exists():
                return False
        lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return True
