"""What steps of an image's build have made so far: what a later step's words stand for."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from envbuild.discovery.content import FileContent
from envbuild.errors import Problem

FROM_HINT: Final = "do it in a Dockerfile of your own that is `FROM` the image's tag"
SOURCES: Final = "/src"
"""Where a step that copies nothing itself finds the folder: any name that is nowhere else."""


def is_inside(path: str) -> bool:
    """Return whether a normal path stays in the folder it is relative to."""
    return not path.startswith("/") and path != ".." and not path.startswith("../")


def unread(_file: str) -> str | None:
    """Read nothing: where only the names of files are known."""
    return None


@dataclass(slots=True)
class BuildState:
    """State of one stage of a build; what its steps give goes to ``content``."""

    content: FileContent
    file: str
    exists: Callable[[str], bool]
    """Whether the folder has a file of this name, relative to it."""

    read: Callable[[str], str | None] = unread
    """The text of a file of the folder, None where it cannot be read."""

    variables: dict[str, str | None] = field(default_factory=dict)
    """What ``$NAME`` stands for; None: something that is not known."""

    workdir: str = "/"
    copied: dict[str, str] = field(default_factory=dict)
    """Paths in the image → what of the folder is there; ``.`` for the folder itself."""

    cloned: dict[str, str] = field(default_factory=dict)
    """Folders in the image that ``git clone`` made → the address."""

    accounts: dict[str, str] = field(default_factory=dict)
    """Numbers of accounts that steps made → their names."""

    environments: set[str] = field(default_factory=set)
    """Folders of Python environments that steps made."""

    wheel_folders: set[str] = field(default_factory=set)
    """Folders that ``pip wheel`` and ``pip download`` filled."""

    exported: set[str] = field(default_factory=set)
    """Names of files that a tool wrote the project's lock into."""

    copied_reports: list[tuple[Problem, list[str]]] = field(default_factory=list)
    """Reports of files that were copied: of no use when a later step installs from them."""

    context: str = "."
    """The folder that steps copy from, relative to the folder of the spec."""

    is_final: bool = True
    """Whether packages of the distribution end up in the image."""

    distribution_python: str | None = None
    """``major.minor`` of the distribution's own Python, where it is known."""

    def place(self, line: int) -> str:
        """Return ``file:line``."""
        return f"{self.file}:{line}"

    def absolute(self, path: str) -> str:
        """Return a path in the image, as steps in the working directory mean it."""
        return posixpath.normpath(posixpath.join(self.workdir, path))

    def has(self, path: str) -> bool:
        """Return whether the folder has a file; of none outside it anything is asked."""
        return is_inside(path) and self.exists(path)

    def in_context(self, path: str) -> str:
        """Return a path that a step copies from, relative to the folder of the spec."""
        return posixpath.normpath(posixpath.join(self.context, path.lstrip("/")))

    def source_of(self, path: str) -> str | None:
        """Return which file of the folder is at ``path`` in the image; None: none that is there."""
        absolute = self.absolute(path)
        for parent in (absolute, *map(str, PurePosixPath(absolute).parents)):
            if parent in self.copied:
                rest = posixpath.relpath(absolute, parent)
                found = posixpath.normpath(posixpath.join(self.copied[parent], rest))
                if self.has(found):
                    return found
        return None

    def cloned_address(self, path: str) -> str | None:
        """Return where the repository comes from that ``path`` in the image is part of, if it is cloned."""
        absolute = self.absolute(path)
        parents = (absolute, *map(str, PurePosixPath(absolute).parents))
        return next((self.cloned[parent] for parent in parents if parent in self.cloned), None)

    def is_environment(self, path: str) -> bool:
        """Return whether ``path`` lies in an environment that envbuild's own stands for."""
        parts = PurePosixPath(path).parts
        usual = {
            "conda",
            "miniconda",
            "miniconda3",
            "mambaforge",
            "miniforge3",
            "venv",
            ".venv",
            "virtualenv",
        }
        return bool(usual.intersection(parts)) or any(
            path == known or path.startswith(f"{known}/") for known in self.environments
        )
