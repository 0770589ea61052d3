"""Every file of the image: kind, mode, size, sha256."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from envbuild.verify.checks.allowed import VOLATILE
from envbuild.verify.checks.facts import FileEntry
from envbuild.verify.probe.roots import place, read_text
from envbuild.verify.probe.workers import spread

NOT_WALKED = frozenset({"/proc", "/sys", "/dev"})
"""The kernel's own."""

_CHUNK = 1 << 20


def walk_files(root: Path) -> tuple[dict[str, FileEntry], tuple[str, ...]]:
    """Return every file below ``root`` by its path in the image, and the mount points left out."""
    mounts = _mount_points(root)
    entries: dict[str, FileEntry] = {}
    to_hash: list[tuple[int, str]] = []
    twins: dict[str, str] = {}
    seen: dict[tuple[int, int], str] = {}
    for path, status in _walk(root, NOT_WALKED | VOLATILE | mounts):
        kind = _kind(status)
        mode = stat.S_IMODE(status.st_mode)
        content = None
        if kind == "l":
            content = _read_link(place(root, path))
        elif kind == "f":
            inode = (status.st_dev, status.st_ino)
            # hard links have one content; it is read once
            if status.st_nlink > 1 and inode in seen:
                twins[path] = seen[inode]
            else:
                seen[inode] = path
                to_hash.append((status.st_size, path))
        entries[path] = (kind, mode, status.st_size if kind == "f" else 0, content)
    digests = spread(to_hash, lambda path: _digest(place(root, path)))
    digests.update({path: digests[first] for path, first in twins.items()})
    for path, digest in digests.items():
        kind, mode, size, _ = entries[path]
        entries[path] = (kind, mode, size, digest)
    return entries, tuple(sorted(mounts))


def _walk(root: Path, left_out: frozenset[str]) -> Iterator[tuple[str, os.stat_result]]:
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(place(root, folder)) as listing:
                found = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            # a folder that may not be listed: what is missing from it is named as missing
            continue
        for entry in found:
            path = f"{folder}/{entry.name}"
            if path in left_out:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)


def _kind(status: os.stat_result) -> str:
    if stat.S_ISREG(status.st_mode):
        return "f"
    if stat.S_ISLNK(status.st_mode):
        return "l"
    return "d" if stat.S_ISDIR(status.st_mode) else "o"


def _digest(path: Path) -> str | None:
    try:
        # unbuffered: chunks are large already
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - as fast, and no second import
            state = hashlib.sha256()
            while chunk := stream.read(_CHUNK):
                state.update(chunk)
    except OSError:
        return None
    return state.hexdigest()


def _read_link(path: Path) -> str | None:
    try:
        # Path.readlink() would tidy what the link says
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return None


def _mount_points(root: Path) -> frozenset[str]:
    """Return what is mounted below ``/`` (proc_pid_mountinfo(5)): host folders, drivers, kernel views."""
    if root != Path("/"):
        return frozenset()
    points = set()
    for line in (read_text(Path("/proc/self/mountinfo")) or "").splitlines():
        fields = line.split(" ")
        if len(fields) > 4:  # noqa: PLR2004 - the mount point is the fifth
            points.add(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4]))
    return frozenset(point for point in points if point != "/")
