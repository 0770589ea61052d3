"""What killed processes leave behind in the store.  A lock tells their files from those of live ones."""

import contextlib

from envbuild.files.temporary import remove_unless_locked, sweep_folders
from envbuild.store.store import ADDING, Store


def sweep(store: Store) -> None:
    """Remove what cannot be resumed: files that were being added, and staged folders."""
    for path in store.partials_folder.glob(f"{ADDING}*"):
        remove_unless_locked(path, path)
    sweep_folders(store.contexts_folder)


def remove_partials(store: Store, *, unused_since: float) -> tuple[int, int]:
    """Remove partial artifacts no live process works on; return how many files and bytes.

    Those written to after ``unused_since`` (seconds since the epoch) are left.
    """
    files = size = 0
    for path in sorted(store.partials_folder.glob("*")):
        with contextlib.suppress(FileNotFoundError):
            state = path.stat()
            if state.st_mtime <= unused_since and remove_unless_locked(path, path):
                files, size = files + 1, size + state.st_size
    return files, size
