"""A machine without apt: its programs, its configuration and dpkg's files are covered by mounts.

Nothing of the machine is changed: the mounts are in a mount namespace that ends with the command.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from envbuild.catalog.distributions import families
from envbuild.remote.apt import MIRROR_VARIABLE, archive_addresses, read_settings
from tests.rig.paths import CHECKOUT

_SCRIPT = """
set -eu
places=$1
shift
mkdir -p "$places/none"
: >"$places/nothing"
for path in /etc/apt /var/lib/apt /var/cache/apt /var/lib/dpkg /usr/lib/apt /usr/share/dpkg \\
    /usr/share/keyrings; do
    [ ! -d "$path" ] || mount --bind "$places/none" "$path"
done
for program in apt apt-get apt-cache apt-config apt-key dpkg dpkg-deb dpkg-query gpgv; do
    [ ! -e "/usr/bin/$program" ] || mount --bind "$places/nothing" "/usr/bin/$program"
done
[ ! -e /etc/debian_version ] || mount --bind "$places/nothing" /etc/debian_version
for library in /usr/lib/*-linux-gnu/libapt-*; do
    [ ! -f "$library" ] || mount --bind "$places/nothing" "$library"
done
exec "$@"
"""


def run_without_apt(
    *command: str | Path, scratch: Path, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` in ``folder`` on a machine without apt, with this machine's mirrors by variable."""
    return subprocess.run(
        [*without_apt_prefix(scratch), *command],
        env={**os.environ, **mirror_variables(), **environment, "PYTHONPATH": str(CHECKOUT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=590,
        check=False,
    )


def without_apt_prefix(scratch: Path) -> tuple[str | Path, ...]:
    """Return the words in front of a command that run it where there is no apt; see `run_without_apt`."""
    places = scratch / "places"
    places.mkdir(parents=True, exist_ok=True)
    (places / "script").write_text(_SCRIPT)
    return ("unshare", "--mount", "--propagation", "private", "sh", places / "script", places)


def mirror_variables() -> dict[str, str]:
    """Return this machine's mirrors as variables: without its source lists nothing else knows them."""
    settings = read_settings(os.environ)
    found = {}
    for family in families().values():
        for number, archive in enumerate(family.archives):
            ending = "" if number == 0 else f"_{archive.upper().replace('-', '_')}"
            for address in archive_addresses(archive, settings=settings)[:1]:
                found[f"{MIRROR_VARIABLE}{ending}"] = address
    return found


ENVBUILD = (sys.executable, "-m", "envbuild")
