"""A user without privileges, with or without subordinate ids, on a machine where the tests run as root.

Nothing of the machine is changed: /etc/subuid and folders that only root may enter are covered by mounts in a
mount namespace that ends with the command.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.rig.paths import CHECKOUT

UID = 65_534
FIRST_ID = 200_000

_SCRIPT = """
set -eu
ids=$1 places=$2 groups=$3
shift 3
mount --bind "$ids" /etc/subuid
mount --bind "$ids" /etc/subgid
# a home of root's is closed to others: what is needed of it is shown at the same paths
while read -r closed kept; do
    mkdir -p "$places/saved"
    mount --bind "$closed" "$places/saved"
    mount -t tmpfs -o mode=755 none "$closed"
    for path in $kept; do
        mkdir -p "$closed/$path"
        mount --rbind "$places/saved/$path" "$closed/$path"
    done
done <"$places/closed"
exec setpriv --reuid=65534 --regid=65534 "$groups" --inh-caps=-all -- "$@"
"""


def run_unprivileged(
    *command: str | Path, scratch: Path, ids: int, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` as an ordinary user with ``ids`` subordinate ids.

    ``scratch`` becomes that user's; its parents must be open to all.
    """
    return subprocess.run(
        [*unprivileged_prefix(scratch, ids=ids), *command],
        env={**os.environ, **environment, "HOME": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def unprivileged_prefix(scratch: Path, *, ids: int, group: int | None = None) -> tuple[str | Path, ...]:
    """Return the words in front of a command that run it as an ordinary user; see `run_unprivileged`.

    ``group`` is one more that the user is a member of.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    os.chown(scratch, UID, UID)
    places = scratch.parent / f"{scratch.name}-places"
    places.mkdir()
    (places / "closed").write_text(_closed_folders())
    (places / "ids").write_text(f"nobody:{FIRST_ID}:{ids}\n" if ids else "")
    (places / "script").write_text(_SCRIPT)
    own = ("unshare", "--mount", "--propagation", "private", "sh")
    groups = "--clear-groups" if group is None else f"--groups={group}"
    return (*own, places / "script", places / "ids", places, groups)


def _closed_folders() -> str:
    """Return a line for each folder others may not enter: its path, and what of it the tests need."""
    needed = {CHECKOUT, Path(sys.base_prefix).resolve(), Path(sys.prefix)}
    closed: dict[Path, set[str]] = {}
    for path in needed:
        for parent in reversed(path.parents):
            if not parent.stat().st_mode & 0o001:
                closed.setdefault(parent, set()).add(str(path.relative_to(parent)))
                break
    return "".join(f"{parent} {' '.join(sorted(kept))}\n" for parent, kept in sorted(closed.items()))
