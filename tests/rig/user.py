"""A user at a machine: a home of their own, a folder they work in, and the program as it is installed."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.rig.terminal import Terminal
from tests.rig.unprivileged import UID, unprivileged_prefix

PROGRAM = Path(sys.executable).with_name("envbuild")

_OF_THE_TESTS = ("ENVBUILD_", "PYTHONPATH", "XDG_", "PYTEST_", "DOCKER_CONFIG")
"""Beginnings of the variables that a user's shell does not have."""

_BECOME = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True, kw_only=True)
class User:
    """Types commands, and fails the test when one does not end with the expected exit code."""

    home: Path
    folder: Path
    """The current folder."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Variables of the user's shell."""
    prefix: tuple[str | Path, ...] = ()
    """Words in front of every command, for a machine that is not this one."""

    def __call__(self, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run ``envbuild`` without a terminal, and return what it said."""
        done = subprocess.run(
            [*self.prefix, PROGRAM, *arguments],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=590,
            check=False,
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def on_terminal(self, *arguments: str) -> Terminal:
        """Run ``envbuild`` on a terminal."""
        words = [str(word) for word in (*self.prefix, PROGRAM, *arguments)]
        # what a terminal starts is a Python program; it becomes the command
        return Terminal(
            "-c", _BECOME, *words, columns=100, folder=self.folder, environment=self._environment(told=True)
        )

    def write(self, name: str, text: str) -> Path:
        """Write a file of the user's into the current folder."""
        path = self.folder / name
        path.write_text(text)
        os.chown(path, UID, UID)
        return path

    def below(self, name: str) -> "User":
        """Return the user in a folder below the current one, which is made if need be."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        os.chown(folder, UID, UID)
        return replace(self, folder=folder)

    def _environment(self, *, told: bool = False) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_TESTS)}
        own |= {
            "HOME": str(self.home),
            "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
        }
        if told:
            # a terminal adds to the variables of the tests, which name no configuration
            own["ENVBUILD_CONFIG"] = str(self.home / ".config/envbuild/config.toml")
        return {**own, **self.settings}


def ordinary_user(
    home: Path, *, ids: int, group: int | None = None, settings: Mapping[str, str] | None = None
) -> User:
    """Return a user without privileges whose home, in a folder that is open to all, is made here.

    See `unprivileged_prefix`.
    """
    prefix = unprivileged_prefix(home, ids=ids, group=group)
    return User(home=home, folder=home, settings=settings or {}, prefix=prefix)


def docker_user(home: Path) -> User:
    """Return an ordinary user who may ask the Docker Engine, as a member of its group."""
    socket = Path(os.environ.get("DOCKER_HOST", "/var/run/docker.sock").removeprefix("unix://"))
    user = ordinary_user(home, ids=0, group=socket.stat().st_gid if socket.exists() else None)
    # plugins of the docker client may be in the home of who runs the tests
    plugins = user.below(".docker").below("cli-plugins").folder
    for plugin in (Path.home() / ".docker/cli-plugins").glob("*"):
        (plugins / plugin.name).symlink_to(plugin.resolve())
    return user
