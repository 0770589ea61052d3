"""When a file was last used, kept in its modification time: few file systems keep the time of each access."""

import contextlib
import os
from pathlib import Path


def note_use(path: Path) -> None:
    """Note that the file is used now.  It may be gone, or belong to somebody else."""
    with contextlib.suppress(OSError):
        os.utime(path)
