"""Whether this machine lets the local engine work: a private root is made, and nothing is run in it.

As a program it does so below the folder it is given; where that does not work it prints the error as JSON and
exits with 1.  Without root it is started in the user namespace that the engine would work in.
"""

import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from envbuild import process
from envbuild.cache.folders import ROOTS
from envbuild.errors import EngineError
from envbuild.files.temporary import temporary_folder
from envbuild.image.local.roots.private_root import EntryError, PrivateRoot
from envbuild.image.local.user_namespace import UNSHARE, acts_as_root, require_subordinate_ids

_SECONDS = 60


def try_engine(cache: Path, environment: Mapping[str, str]) -> str:
    """Return as what the local engine works on this machine.

    :raises EngineError: it does not; says what it lacks.
    """
    if acts_as_root():
        _try_root(cache)
        return "works here, as root"
    require_subordinate_ids(environment)
    # -P: modules in the current folder are not the program's
    command = (*UNSHARE, sys.executable, "-P", "-m", __name__, str(cache.absolute()))
    tried = process.run(command, environment=environment, timeout=_SECONDS)
    if not tried.succeeded:
        try:
            raise EngineError(**json.loads(tried.stdout))
        except ValueError as error:
            raise EngineError("no private root can be made on this machine", detail=tried.stderr) from error
    return "works here, as root of a user namespace"


def _try_root(cache: Path) -> None:
    scratch = ROOTS.path(cache)
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        # the root is empty: that there is no such program is found out inside it
        with (
            contextlib.suppress(EntryError),
            temporary_folder(scratch) as empty,
            PrivateRoot((empty,), scratch=scratch) as root,
        ):
            root.run(("/nothing",))
    except OSError as error:
        raise EngineError(f"{scratch}: {(error.strerror or str(error)).lower()}") from error


if __name__ == "__main__":
    try:
        _try_root(Path(sys.argv[1]))
    except EngineError as error:
        sys.stdout.write(json.dumps({"message": error.message, "hint": error.hint, "detail": error.detail}))
        sys.exit(1)
