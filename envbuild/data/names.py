"""Relative paths of files of data: which are safe to write, to show and to record."""

import re
from typing import Final

LONGEST_PATH: Final = 4096
"""Bytes of a path, as Linux has it (PATH_MAX)."""

LONGEST_NAME: Final = 255
"""Bytes of one name in it (NAME_MAX)."""

_PLAIN: Final = re.compile(r"[\w-][\w. -]{0,99}(?:/[\w-][\w. -]{0,99}){0,9}", re.ASCII)
"""Paths that nothing can be wrong with."""


def fault_of(path: str) -> str | None:
    """Return why ``path`` is no relative path that stays in its folder; None: it is one."""
    # there may be a million, and nearly all of them are like this
    if _PLAIN.fullmatch(path):
        return None
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    names = path.split("/")
    faults = {
        "is not a relative path": not names[0],
        "holds a NUL": "\0" in path,
        "has an empty part, `.` or `..`": not {"", ".", ".."}.isdisjoint(names),
        f"is longer than {LONGEST_PATH} bytes": len(encoded) > LONGEST_PATH,
        f"has a name longer than {LONGEST_NAME} bytes": len(encoded) > LONGEST_NAME
        and any(len(name.encode()) > LONGEST_NAME for name in names),
    }
    return next((fault for fault, is_so in faults.items() if is_so), None)


def is_of_git(path: str) -> bool:
    """Return whether a path is git's own: who writes there has git run what they like."""
    return ".git" in path.casefold().split("/")


def clashing(paths: set[str]) -> str | None:
    """Return a path that is a file and also the folder of another one; None: there is none."""
    folders: set[str] = set()
    for path in paths:
        end = path.rfind("/")
        # a folder that was seen has been seen with those above it
        while end > 0 and (folder := path[:end]) not in folders:
            folders.add(folder)
            end = path.rfind("/", 0, end)
    return min(folders & paths, default=None)
