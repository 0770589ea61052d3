"""The Docker Engine that the tests use: whichever answers, or a private one."""

import os
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


def forget_images(docker_host: str, registry_host: str) -> None:
    """Remove what was pulled from a registry that is about to end: nobody can use those names again."""
    docker = ("docker", "image")
    environment = {**os.environ, "DOCKER_HOST": docker_host}
    listed = subprocess.run(
        [*docker, "ls", "--digests", "--format", "{{.Repository}}@{{.Digest}}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names = sorted({name for name in listed.stdout.split() if name.startswith(f"{registry_host}/")})
    if names:
        # Best effort: a container that a failed test left behind may still hold one.
        subprocess.run(
            [*docker, "rm", "--force", *names], env=environment, capture_output=True, timeout=120, check=False
        )
