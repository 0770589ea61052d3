"""Make the packages of an environment editable.

usage: editable.py PREFIX

Written by `envbuild devcontainer`; runs while a dev container's image is built, on the locked image.

Images hold unchecked-hash bytecode: Python runs it without a look at the source, so an edited source would
change nothing.  The hash of the source is in the file's header all the same (PEP 552): with one bit set it is
compared at each import.  Folders and Python sources are opened to everybody, since a dev container gives its
user the uid of whoever is at the keyboard.  Libraries stay as they are: opening one would copy it whole.
"""  # noqa: INP001 - a script of a dev container, not a module

import os
import stat
import sys
from pathlib import Path

HEADER = 16
FLAGS = 4
"""Place of the flags in the header, little-endian."""

UNCHECKED, CHECKED = 0b01, 0b11
WRITABLE = 0o222


def main(prefix: str) -> int:
    """Open everything below ``prefix``; return the exit status."""
    roots = sorted(Path(prefix).glob("lib/python*/site-packages"))
    if not roots:
        sys.stderr.write(f"error: {prefix} is no Python environment\n")
        return 1
    for root in roots:
        open_up(root)
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in folders:
                open_up(Path(folder, name))
            for name in sorted(files):
                path = Path(folder, name)
                if name.endswith(".pyc"):
                    check_source(path)
                if name.endswith((".py", ".pyi")):
                    open_up(path)
    return 0


def open_up(path: Path) -> None:
    """Let everybody write to a file or folder, what else it allows and its time unchanged."""
    found = path.lstat()
    if not stat.S_ISLNK(found.st_mode):
        path.chmod(stat.S_IMODE(found.st_mode) | WRITABLE)


def check_source(path: Path) -> None:
    """Turn unchecked-hash bytecode into checked-hash bytecode; leave any other as it is."""
    before = path.stat()
    with path.open("r+b") as stream:
        header = stream.read(HEADER)
        if len(header) < HEADER or header[FLAGS] != UNCHECKED:
            return
        stream.seek(FLAGS)
        stream.write(bytes([CHECKED]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
