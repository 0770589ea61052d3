"""The Docker Engine that the tests use: whichever answers, or a private one."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.rig.paths import SCRIPTS

FORGOTTEN = "ENVBUILD_TESTS_FORGOTTEN"
"""Variable with the path of a file: names of images to remove at the end, one a line."""


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


def docker(
    *arguments: str, stdin: bytes = b"", folder: Path | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """Run docker's client; where it fails, the test fails with what it said."""
    done = subprocess.run(
        ["docker", *arguments], input=stdin, cwd=folder, capture_output=True, timeout=600, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"docker {' '.join(arguments)} exited {done.returncode}\n{done.stderr.decode()}")
    return done


def forget_at_the_end(*names: str) -> None:
    """Have the engine remove images when the last test is done; `HOST/` stands for all of a registry.

    Not earlier: an engine that removes an image may take a layer away from another that is just
    pulled or built and has that layer too (containerd/containerd#3787).
    """
    with Path(os.environ[FORGOTTEN]).open("a") as noted:
        noted.writelines(f"{name}\n" for name in names)


def note_forgotten() -> None:
    """Make the file that `forget_at_the_end` writes to, for this process and those it starts."""
    descriptor, path = tempfile.mkstemp(prefix="envbuild-tests-")
    os.close(descriptor)
    os.environ[FORGOTTEN] = path


def remove_forgotten() -> None:
    """Remove what `forget_at_the_end` was told: nobody can use those names again."""
    path = Path(os.environ.pop(FORGOTTEN))
    noted = sorted(set(path.read_text().splitlines()))
    path.unlink()
    if not noted:
        return
    environment = {**os.environ, "DOCKER_HOST": ensure_engine()}
    listed = subprocess.run(
        ["docker", "image", "ls", "--digests", "--format", "{{.Repository}}@{{.Digest}}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    hosts = tuple(name for name in noted if name.endswith("/"))
    pulled = {name for name in listed.stdout.split() if hosts and name.startswith(hosts)}
    names = sorted(pulled | (set(noted) - set(hosts)))
    if names:
        # Best effort: a container that a failed test left behind may still hold one.
        subprocess.run(
            ["docker", "image", "rm", "--force", *names],
            env=environment, capture_output=True, timeout=600, check=False,
        )  # fmt: skip
