"""The files that installing a locked wheel gives: path, digest and mode of each, without touching a disk.

What the install script of a build follows is followed here (:mod:`envbuild.formats.wheel_files`).  The
digests are those of the RECORD inside the wheel, whose own digest is locked; a build refuses a wheel whose
files differ from it.  Bytecode is left out: it is compared with its source.
"""

import zipfile
from pathlib import Path

from envbuild.errors import IntegrityError
from envbuild.formats.wheel_files import BROKEN, plan_wheel
from envbuild.verify.checks.expected_files import ExpectedEntry, Tree


def wheel_tree(path: Path, *, file: str, python: str, prefix: str) -> Tree:
    """Return what a build installs from the wheel at ``path``, by path below the prefix, sorted.

    ``file`` is the wheel's own name (a store may keep it under another), ``python`` the version as folders
    spell it (``3.11``).

    :raises IntegrityError: the file is no wheel that can be installed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            plan = plan_wheel(archive, file, python=python, prefix=prefix)
    except (*BROKEN, OSError) as error:
        raise IntegrityError(f"{file} is not a wheel that can be installed: {error}") from error
    return {name: ExpectedEntry("f", planned.mode, planned.sha256) for name, planned in plan.items()}
