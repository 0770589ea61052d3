"""Which file systems keep inodes and times so that a changed file is sure to be noticed."""

import contextlib
import os
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

SAFE: Final = frozenset(
    {
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "f2fs",
        "zfs",
        "bcachefs",
        "tmpfs",
        "overlay",
        "erofs",
        "squashfs",
    }
)
"""Types of local file systems of Linux with stable inode numbers and a change time of their own.

overlay shows the inode and the times of the file below; a copy up makes new ones, which are a change
(Documentation/filesystems/overlayfs.rst, "Inode properties").  All others are read again each time.
"""

MOUNTS: Final = Path("/proc/self/mountinfo")

_LINE: Final = re.compile(r"\d+ \d+ (\d+):(\d+) .*? - (\S+) ")


def keeps_times(mounts: Path = MOUNTS) -> Callable[[int], bool]:
    """Return what says of a device number whether files on it can be told apart by inode and times.

    ``mounts`` is in the form of proc_pid_mountinfo(5); where there is none, as on macOS, no device can.
    """
    types: dict[int, set[str]] = {}
    with contextlib.suppress(OSError):
        for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            found = _LINE.match(line)
            if found is not None:
                device = os.makedev(int(found[1]), int(found[2]))
                types.setdefault(device, set()).add(found[3])

    @lru_cache(maxsize=64)
    def is_safe(device: int) -> bool:
        held = types.get(device)
        return held is not None and held <= SAFE

    return is_safe
