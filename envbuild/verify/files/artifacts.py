"""The files a target's locked artifacts bring, computed once per artifact and kept by its digest."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from envbuild.cache.notes import read_note, write_note
from envbuild.verify.checks.target import LockedCondaPackage, LockedDeb, LockedTarget, LockedWheel
from envbuild.verify.files.artifact_trees import conda_tree, deb_tree, wheel_tree
from envbuild.verify.files.expected_files import ExpectedEntry, ExpectedFiles, Tree

_Locked = LockedWheel | LockedDeb | LockedCondaPackage


@dataclass(frozen=True, slots=True)
class TreeCache:
    """A folder of trees.  A file that cannot be read counts as absent; it is written whole or not at all."""

    folder: Path
    rereads: bool = False
    """Whether what is kept is not used, so that every artifact is read again."""

    def load(self, name: str) -> Tree | None:
        """Return the tree kept under ``name``, if there is one."""
        if self.rereads:
            return None
        return read_note(
            self._path(name), lambda tree: {path: ExpectedEntry(*values) for path, values in tree.items()}
        )

    def save(self, name: str, tree: Tree) -> None:
        """Keep ``tree`` under ``name``."""
        write_note(self._path(name), {path: list(entry) for path, entry in tree.items()})

    def has(self, name: str) -> bool:
        """Return whether there is a file for ``name``."""
        return not self.rereads and self._path(name).is_file()

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.json.gz"


def missing_trees(target: LockedTarget, cache: TreeCache) -> tuple[str, ...]:
    """Return the file names of the artifacts whose bytes :func:`expected_files` will ask for."""
    artifacts: Iterable[_Locked] = (*target.wheels, *target.debs, *_conda(target))
    return tuple(item.file for item in artifacts if not cache.has(_name(target, item)))


def expected_files(
    target: LockedTarget, *, artifact: Callable[[str], Path], cache: TreeCache
) -> ExpectedFiles:
    """Return the files of all artifacts of ``target``.

    ``artifact`` gives the path of the verified file with a sha256; it is called for what the cache lacks
    only, from several threads.

    :raises IntegrityError: an artifact is not what its name says.
    """

    def tree_of(item: _Locked) -> Tree:
        name = _name(target, item)
        tree = cache.load(name)
        if tree is None:
            path = artifact(item.sha256)
            if isinstance(item, LockedDeb):
                tree = deb_tree(path, file=item.file)
            elif isinstance(item, LockedCondaPackage):
                tree = conda_tree(
                    path,
                    file=item.file,
                    python=target.python_tag,
                    site_packages=target.conda_site_packages,
                    prefix=target.prefix,
                )
            else:
                tree = wheel_tree(path, file=item.file, python=target.python_tag, prefix=target.prefix)
            cache.save(name, tree)
        return tree

    items: list[_Locked] = [*target.wheels, *target.debs, *_conda(target)]
    # decompression and hashing let other threads run
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as threads:
        trees = dict(zip((item.file for item in items), threads.map(tree_of, items), strict=True))
    return ExpectedFiles(
        wheels={wheel.file: trees[wheel.file] for wheel in target.wheels},
        debs={deb.file: trees[deb.file] for deb in target.debs},
        conda={package.file: trees[package.file] for package in _conda(target)},
    )


def _conda(target: LockedTarget) -> tuple[LockedCondaPackage, ...]:
    return target.conda.packages if target.conda else ()


def _name(target: LockedTarget, item: _Locked) -> str:
    """Return what a tree is kept under: all it depends on."""
    if isinstance(item, LockedDeb):
        return item.sha256
    place = target.prefix.strip("/").replace("/", "-")
    return f"{item.sha256}-{target.python_tag}-{place}"
