"""conda packages of a target: what is to be laid down, and what of it is in the way of wheels.

The packages are laid down by the recipe's own script in a private root (:meth:`Steps.conda`), as in the
builder stage of a Dockerfile; wheels then go into the same prefix.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from envbuild.digest import canonical_json, sha256_file
from envbuild.formats.json_text import parse_json
from envbuild.image.local.layers.file_conflicts import Tree
from envbuild.lock.conda import CondaPackage
from envbuild.lock.identity import conda_epoch_of, project_target
from envbuild.lock.model import Lock, PythonArchive, Target, Wheel
from envbuild.render.recipe import describe_packages, plan_conda_layers

NOBODY = "what conda packages left"
"""Owner of a file that no record names."""

Listing = Callable[[str], Mapping[str, "os.DirEntry[str]"]]
"""Gives what is in a folder of the prefix, by name."""

_OTHER = "no file"
"""Stands for the content of what is no regular file, which no wheel's file has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaWork:
    """All that layers of conda packages follow from."""

    packages: tuple[CondaPackage, ...]
    comments: tuple[str, ...]
    """What is in each layer, bottom first."""

    document: bytes
    """What the script is told of the lock: packages, interpreter, the time of what has none of its own."""

    tool: Wheel
    """py-rattler."""

    interpreter: str
    """Path of the base's Python, which runs it."""

    archive: PythonArchive | None
    """That Python, where the base has none."""

    prefix: str
    runs_scripts: bool
    """Whether packages have link scripts, which look at whatever they like."""

    scripts: tuple[str, ...] = ("bytecode.py", "clamp.sh", "compile.py", "conda.json", "conda.py", "conda.sh")
    """Files of the recipe that have a part in it; ``conda.json`` is the plan of layers."""


def plan_conda(lock: Lock, target: Target) -> CondaWork | None:
    """Return what there is to do for the conda packages of ``target``; None when it has none."""
    installer = target.conda_installer
    if installer is None:
        return None
    packages = lock.conda_of(target)
    known = project_target(lock, target)
    document = {
        "conda": known["conda"],
        "interpreter": known["interpreter"],
        "epoch": conda_epoch_of(lock, target),
    }
    return CondaWork(
        packages=packages,
        comments=tuple(map(describe_packages, plan_conda_layers(lock, target))),
        document=canonical_json(document) + b"\n",
        tool=next(wheel for wheel in lock.tools_of(target) if wheel.file == installer.wheel),
        interpreter=installer.interpreter.path,
        archive=installer.interpreter.archive,
        prefix=target.prefix,
        runs_scripts=any(package.link_scripts for package in packages),
    )


def files_in_the_way(
    names: Collection[str], folders: Sequence[Path], *, prefix: str
) -> tuple[tuple[str, Tree], ...]:
    """Return what lies in conda's prefix where wheels bring the files ``names``, by the package it is of.

    ``folders`` are the layers of conda packages unpacked; no two have the same file.  A link or a file where
    a wheel has a folder is in the way, too.
    """
    prefixes = [folder / prefix.strip("/") for folder in folders]

    @cache
    def listing(folder: str) -> dict[str, os.DirEntry[str]]:
        found: dict[str, os.DirEntry[str]] = {}
        for place in prefixes:
            if (place / folder).is_dir():
                with os.scandir(place / folder) as entries:
                    found |= {entry.name: entry for entry in entries}
        return found

    there = {path: entry for name in names for path, entry in _met(name, listing)}
    owners = _owners(prefixes, there.keys()) if there else {}
    trees: dict[str, dict[str, tuple[str, bool]]] = {}
    for path, entry in sorted(there.items()):
        is_file = entry.is_file(follow_symlinks=False)
        content = sha256_file(Path(entry.path)) if is_file else _OTHER
        executable = is_file and bool(entry.stat(follow_symlinks=False).st_mode & 0o111)
        trees.setdefault(owners.get(path, NOBODY), {})[path] = content, executable
    return tuple(sorted(trees.items()))


def _met(name: str, listing: Listing) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what is met on the way to ``name`` that is no folder, and what is at its place."""
    folder, rest = "", name
    while rest:
        part, _, rest = rest.partition("/")
        entry = listing(folder).get(part)
        if entry is None:
            return
        folder = f"{folder}/{part}" if folder else part
        if not rest or not entry.is_dir(follow_symlinks=False):
            yield folder, entry
            return


def _owners(prefixes: Sequence[Path], paths: Collection[str]) -> dict[str, str]:
    """Return the file names of the packages that ``paths`` are of, as conda's records say."""
    owners: dict[str, str] = {}
    for record in sorted(path for prefix in prefixes for path in prefix.glob("conda-meta/*.json")):
        files = set(parse_json(record.read_bytes())["files"])
        owners |= {path: record.stem for path in paths if path in files}
    return owners
