"""Files that several wheels bring: whether the wheels agree on them, and the permissions they get.

Two wheels may bring one file only when they agree on its content; it is executable when one of them says so.
Then it does not matter which is installed last, nor which layers they lie in.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import installer

from envbuild.cache.folders import WHEEL_TREES
from envbuild.cache.notes import read_note, try_note
from envbuild.digest import canonical_json, sha256_bytes
from envbuild.errors import IntegrityError, Problem
from envbuild.formats.wheel_files import EXECUTABLE, PLAIN
from envbuild.lock.model import Wheel

Tree = Mapping[str, tuple[str, bool]]
"""The files a wheel brings, by path below the prefix: sha256 in hexadecimal, and whether it is executable."""

VENV_FILES = frozenset(
    {
        ".gitignore",
        "bin/Activate.ps1",
        "bin/activate",
        "bin/activate.csh",
        "bin/activate.fish",
        "bin/python",
        "bin/python3",
        "lib64",
        "pyvenv.cfg",
    }
)
"""What ``python -m venv --without-pip`` makes, and no wheel may replace."""


@dataclass(frozen=True, slots=True)
class SharedFiles:
    """How files that several wheels bring are installed."""

    modes: Mapping[str, int]
    """Permission bits of every file that more than one wheel brings, by path below the prefix."""

    raised: Mapping[str, str]
    """Files that the topmost of their layers has as not executable, though they are, and the wheel that says
    so."""


def resolve_file_conflicts(
    layers: Sequence[Sequence[tuple[str, Tree]]], *, prefix: str, reserved: Collection[str] = VENV_FILES
) -> SharedFiles:
    """Return how the files that wheels of ``layers`` share are installed.

    Layers come bottom first, each as the names and trees of its wheels.

    :raises IntegrityError: wheels disagree on files, or bring what the environment itself has: all are named.
    """
    owners: dict[str, tuple[str, str]] = {}
    executable: dict[str, tuple[int, str]] = {}
    top: dict[str, int] = {}
    shared: set[str] = set()
    problems: list[Problem] = []
    for number, layer in enumerate(layers):
        for wheel, tree in layer:
            for name, (sha256, is_executable) in tree.items():
                if name in reserved:
                    problems.append(_disagreement(wheel, "the environment itself", f"{prefix}/{name}"))
                    continue
                first, content = owners.setdefault(name, (wheel, sha256))
                if first != wheel:
                    shared.add(name)
                    if content != sha256:
                        problems.append(_disagreement(wheel, first, f"{prefix}/{name}"))
                top[name] = number
                if is_executable:
                    executable[name] = (number, wheel)
    for folder in sorted(_folders(owners) & owners.keys()):
        inside = min(name for name in owners if name.startswith(f"{folder}/"))
        problems.append(
            _disagreement(owners[inside][0], owners[folder][0], f"{prefix}/{folder}", "a file and a folder")
        )
    if problems:
        raise IntegrityError(
            "wheels conflict",
            hint="leave one of them out, or choose versions that agree",
            problems=problems,
        )
    return SharedFiles(
        modes={name: EXECUTABLE if name in executable else PLAIN for name in sorted(shared)},
        raised={
            name: executable[name][1]
            for name in sorted(shared)
            if name in executable and executable[name][0] != top[name]
        },
    )


def _disagreement(wheel: str, other: str, path: str, how: str = "with different content") -> Problem:
    return Problem(wheel, f"it and {other} both bring {path}, {how}")


def _folders(names: Iterable[str]) -> set[str]:
    """Return every folder that a file of ``names`` lies in."""
    found: set[str] = set()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


class WheelTreeCache:
    """Trees of wheels that were read once, so that nothing is read when nothing is made.

    Damaged ones are as good as absent.
    """

    def __init__(self, cache: Path) -> None:
        self._folder = WHEEL_TREES.path(cache)

    def get(self, wheel: Wheel, *, prefix: str, python: str) -> Tree | None:
        """Return the tree of a wheel, if it is there and whole."""
        return read_note(
            self._path(wheel, prefix, python),
            lambda files: {name: (sha256, executable) for name, sha256, executable in files},
        )

    def put(self, wheel: Wheel, tree: Tree, *, prefix: str, python: str) -> None:
        """Keep a tree; where nothing can be written, the wheel is read again next time."""
        files = [[name, sha256, executable] for name, (sha256, executable) in tree.items()]
        try_note(self._path(wheel, prefix, python), files)

    def _path(self, wheel: Wheel, prefix: str, python: str) -> Path:
        inputs = [installer.__version__, wheel.file, wheel.sha256, prefix, python]
        return self._folder / sha256_bytes(canonical_json(inputs))
