"""The files that a locked artifact brings: path, digest or link, and mode of each, read from the artifact.

``file`` is always the artifact's own name, for errors: a store may keep it under another.  Bytecode is left
out of wheels and conda packages: it is compared with the reference.
"""

import tarfile
from pathlib import Path

from envbuild.digest import sha256_bytes, sha256_chunks
from envbuild.errors import IntegrityError
from envbuild.formats.conda_package import CondaArchive
from envbuild.formats.conda_prefix import CondaPython, prefix_files
from envbuild.formats.deb import DebArchive, DebError
from envbuild.formats.wheel_archive import WheelArchive
from envbuild.formats.wheel_files import BROKEN, plan_wheel
from envbuild.verify.files.expected_files import ExpectedEntry, Tree

_KINDS = {tarfile.REGTYPE: "f", tarfile.AREGTYPE: "f", tarfile.SYMTYPE: "l", tarfile.DIRTYPE: "d"}


def wheel_tree(path: Path, *, file: str, python: str, prefix: str) -> Tree:
    """Return what a build installs from the wheel at ``path``, by path below the prefix, sorted.

    What the install script of a build follows is followed here (:mod:`envbuild.formats.wheel_files`).  The
    digests are those of the RECORD inside the wheel, whose own digest is locked; a build refuses a wheel
    whose files differ from it.  ``python`` is the version as folders spell it (``3.11``).

    :raises IntegrityError: the file is no wheel that can be installed.
    """
    try:
        with WheelArchive(path) as archive:
            plan = plan_wheel(archive, file, python=python, prefix=prefix)
    except (*BROKEN, OSError) as error:
        raise IntegrityError(f"{file} is not a wheel that can be installed: {error}") from error
    return {name: ExpectedEntry("f", planned.mode, planned.sha256) for name, planned in plan.items()}


def conda_tree(path: Path, *, file: str, python: str, site_packages: str | None, prefix: str) -> Tree:
    """Return what a build lays down of the conda package at ``path``, by path below the prefix, sorted.

    Digests are those of the files once their prefix is replaced.  ``python`` is the version of the
    environment's Python, ``site_packages`` its folder for modules if that is not the usual.

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


def deb_tree(path: Path, *, file: str) -> Tree:
    """Return the files of the deb at ``path`` by absolute path as packaged, sorted.

    Where it says ``/bin/ls``, a merged-/usr system has ``/usr/bin/ls``; the comparison follows the links it
    finds.

    :raises IntegrityError: the file is no Debian package.
    """
    archive = DebArchive(path)
    entries: dict[str, ExpectedEntry] = {}
    try:
        conffiles = archive.conffiles()
        for packed, content in archive.entries():
            place = f"/{packed.name}"
            if packed.islnk():
                # the file it leads to came before it
                entries[place] = entries[f"/{packed.linkname}"]
                continue
            kind = _KINDS.get(packed.type, "o")
            held = sha256_chunks(content) if content else packed.linkname if kind == "l" else None
            entries[place] = ExpectedEntry(kind, packed.mode & 0o7777, held, place in conffiles)
    except (DebError, KeyError) as error:
        raise IntegrityError(f"{file} is not a Debian package: {error}") from error
    return dict(sorted(entries.items()))
