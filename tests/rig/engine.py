"""The Docker Engine that the tests use: whichever answers, or a private one."""

import subprocess

from tests.rig.paths import SCRIPTS


class EngineMissingError(RuntimeError):
    """No engine answers and none could be started."""


def ensure_engine() -> str:
    """Return the value for `DOCKER_HOST`, starting a private engine where none answers.

    The engine outlives the tests: starting one takes seconds, and others may be using it.
    `make engine-stop` ends it.
    """
    done = subprocess.run(
        [SCRIPTS / "engine", "start"], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise EngineMissingError(done.stderr.strip())
    return done.stdout.strip()
