"""The files that laying down a locked conda package gives: path, digest and mode of each."""

from pathlib import Path

from envbuild.digest import sha256_bytes
from envbuild.formats.conda_package import CondaArchive
from envbuild.formats.conda_prefix import CondaPython, prefix_files
from envbuild.verify.checks.expected_files import ExpectedEntry, Tree


def conda_tree(path: Path, *, file: str, python: str, site_packages: str | None, prefix: str) -> Tree:
    """Return what a build lays down of the package at ``path``, by path below the prefix, sorted.

    Digests are those of the files once their prefix is replaced.  Bytecode is left out: it is compared with
    its source.  ``file`` is the package's own name (a store may keep it under another).  ``python`` is the
    version of the environment's Python, ``site_packages`` its folder for modules if that is not the usual.

    :raises IntegrityError: the file is no conda package, or one of its paths leaves the prefix.
    """
    entries = {}
    place = CondaPython.of(python, site_packages)
    for item in prefix_files(CondaArchive(path, name=file), prefix=prefix, python=place):
        if item.kind == "link":
            entries[item.path] = ExpectedEntry("l", 0o777, item.target)
        else:
            entries[item.path] = ExpectedEntry("f", item.mode, sha256_bytes(item.content))
    return dict(sorted(entries.items()))
