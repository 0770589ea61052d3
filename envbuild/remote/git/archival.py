"""The file that tells builds a version without a repository: ``.git_archival.txt`` of setuptools-scm."""

import posixpath
import re
from typing import Final

from envbuild.remote.git.source_tree import SourceFiles

ARCHIVAL: Final = ".git_archival.txt"
LARGEST_PROJECT_FILE: Final = 1 << 20
"""Bytes of a project file that are looked at."""

_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_FROM_TAGS = re.compile(
    rb"setuptools[-_]scm|use_scm_version|hatch[-_]vcs|versioningit|flit[-_]scm|vcs[-_]versioning"
    rb"|source\s*=\s*[\"']scm[\"']"
)


def takes_version_from_tags(files: SourceFiles, subdirectory: str | None) -> bool:
    """Return whether a project's files name a tool that reads versions from git; nothing of them is run."""
    for name in _PROJECT_FILES:
        path = posixpath.join(subdirectory or "", name).encode()
        if _FROM_TAGS.search(files.read(path, LARGEST_PROJECT_FILE) or b""):
            return True
    return False


def archival_text(commit: str, date: str, described: str | None) -> str:
    """Return the content of the file (setuptools-scm, "Git archives")."""
    lines = [f"node: {commit}", f"node-date: {date}"]
    lines += [f"describe-name: {described}"] if described else []
    return "".join(f"{line}\n" for line in lines)
