"""Another host Python: Debian 13's, unpacked once per machine, with this project's dependencies for it.

It runs in a mount namespace in which its tree's /usr lies over the machine's, as the private engine does.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.rig.paths import SCRIPTS, cache_folder, locked

SUITE, VERSION = "trixie", "3.13"
RECIPE = 1
"""Raised when the tree changes, so that a cached one is made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPython:
    """A Python of another machine."""

    tree: Path
    packages: Path
    checkout: Path

    def run(
        self, *arguments: str, folder: Path = Path("/"), environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        command = (
            'mount --make-rprivate / && mount --bind "$1/usr" /usr && shift && exec /usr/bin/python3.13 "$@"'
        )
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", command, "sh", self.tree, *arguments],
            cwd=folder,
            env={**os.environ, **(environment or {}), "PYTHONPATH": f"{self.checkout}:{self.packages}"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


def newer_python(checkout: Path) -> HostPython:
    """Return Python 3.13; made at the first call on a machine, half a minute."""
    folder = cache_folder() / f"python-{VERSION}-{RECIPE}"
    with locked(folder.name):
        if not (folder / "tree").is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _unpack(folder / "unfinished")
            (folder / "unfinished").rename(folder / "tree")
        _install(checkout, folder / "packages")
    return HostPython(tree=folder / "tree", packages=folder / "packages", checkout=checkout)


def _unpack(tree: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        subprocess.run([SCRIPTS / "setup", "mmdebstrap"], timeout=600, check=True)
    mirror = subprocess.run(
        [SCRIPTS / "debian-mirror"], capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=extract"),
            *("--include=python3,util-linux,mount", SUITE, str(tree), *([mirror] if mirror else [])),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
        check=True,
    )


def _install(checkout: Path, packages: Path) -> None:
    """Install what the project depends on; a no-op when it is there already."""
    wanted = (checkout / "pyproject.toml").read_bytes()
    mark = packages / ".pyproject.toml"
    if mark.is_file() and mark.read_bytes() == wanted:
        return
    shutil.rmtree(packages, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    requirements = subprocess.run(
        [
            uv,
            "pip",
            "compile",
            "--quiet",
            "--no-header",
            "--python-version",
            VERSION,
            checkout / "pyproject.toml",
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    ).stdout
    subprocess.run(
        [
            *(str(uv), "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"),
            *("--python-version", VERSION, "--target", str(packages), "-r", "-"),
        ],
        input=requirements,
        text=True,
        timeout=600,
        check=True,
    )
    mark.write_bytes(wanted)
