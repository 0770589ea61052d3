"""Standing in for root: a user namespace in which this user's subordinate ids are the image's users.

Real packages have files of many owners, so one id is not enough.  Without root the whole program enters a
user namespace first, as Podman and Buildah do: whatever it makes there has its right owner, and the mounts of
private roots are allowed.  Outside, those files belong to the subordinate ids.
"""

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from envbuild import process
from envbuild.errors import EngineError

NEEDED_IDS: Final = 65_536
"""Ids of one system: files of packages have owners up to ``nobody``, 65534."""

OPEN_FILES: Final = 16_384

UNSHARE: Final = ("unshare", "--user", "--map-auto", "--map-root-user", "--")
"""util-linux 2.38; ``newuidmap`` gives it the ids of /etc/subuid."""

_HINT: Final = (
    "run as root; or install util-linux 2.38 and uidmap (shadow-utils), and give this user {needed} "
    "subordinate ids: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}`; "
    "or use `--engine docker`"
)
_MAP: Final = Path("/proc/self/uid_map")


def acts_as_root() -> bool:
    """Return whether this process may unpack packages and make private roots, as root does.

    :raises EngineError: this is no Linux, or this root has too few user ids.
    """
    if sys.platform != "linux":
        raise EngineError(
            "the local engine runs on Linux only", hint="use `--engine docker`, which runs there by itself"
        )
    if os.geteuid() != 0:
        return False
    mapped = _count(_MAP.read_text(encoding="ascii"))
    if mapped < NEEDED_IDS:
        raise EngineError(
            f"the local engine needs {NEEDED_IDS} user ids, and this root has {mapped}",
            hint="give the container or namespace it runs in more of them, or use `--engine docker`",
        )
    return True


def restart_in_namespace(arguments: Sequence[str], *, environment: Mapping[str, str]) -> None:
    """Start the program again as root of a user namespace, in place of this process; do not return.

    ``arguments`` are the program's own, without its name.

    :raises EngineError: this user may not; says what to install.
    """
    require_subordinate_ids(environment)
    # -P: modules in the current folder are not the program's
    again = (*UNSHARE, sys.executable, "-P", "-m", "envbuild", *arguments)
    process.replace(again, environment=environment)


def raise_open_files() -> None:
    """Allow this process more open files, as far as its own limit may be raised without privileges.

    A layer of many small wheels keeps all of them open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # not all there are: programs that close every number one may have would take minutes
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def require_subordinate_ids(environment: Mapping[str, str]) -> None:
    """Return if this user can be root of a user namespace with enough ids.

    :raises EngineError: it cannot; says what to install.
    """
    try:
        tried = process.run((*UNSHARE, "cat", _MAP), environment=environment, timeout=30)
    except process.ProgramMissingError as error:
        raise _missing(str(error)) from error
    if not tried.succeeded:
        raise _missing(tried.stderr.strip())
    mapped = _count(tried.stdout)
    if mapped < NEEDED_IDS:
        raise _missing(f"this user has {mapped} ids, its own included")


def _count(id_map: str) -> int:
    """Return how many ids a map has (user_namespaces(7)): the third number of each line."""
    return sum(int(line.split()[2]) for line in id_map.splitlines())


def _missing(detail: str) -> EngineError:
    user = str(os.geteuid())
    hint = _HINT.format(needed=NEEDED_IDS, user=user)
    return EngineError("the local engine needs root, or subordinate user ids", hint=hint, detail=detail)
