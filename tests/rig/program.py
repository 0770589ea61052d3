"""The program as a user meets it: a folder, a command line, and what comes back."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from envbuild.cli.app import app
from envbuild.lock.codec import dumps
from envbuild.lock.model import Lock
from tests.rig.paths import CHECKOUT

SPEC = """\
name = "train"
python = "3.11"

[base]
packages = "debian:bookworm"

[pip]
packages = ["numpy>=2", "scikit-learn"]

[system]
packages = ["git"]

[image]
env = { GREETING = 'say "hi" for $5\\' }

[determinism]
seed = 7
"""
"""What `tests.rig.locks.sample_lock` answers."""

WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one command said and how it ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Program:
    """Runs envbuild in a project's folder, which is the current one."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "envbuild.toml"

    @property
    def lock(self) -> Path:
        return self.folder / "envbuild.lock"

    def __call__(self, *arguments: str) -> Answer:
        runner = CliRunner()
        with runner.isolation() as (stdout, stderr, _):
            # anything but an exit means that the error boundary let something through
            with pytest.raises(SystemExit) as ended:
                _command().main(list(arguments), prog_name="envbuild", terminal_width=WIDTH)
            sys.stdout.flush()
            sys.stderr.flush()
            said = (stdout.getvalue().decode(), stderr.getvalue().decode())
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Answer(code=code or 0, stdout=said[0], stderr=said[1])

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a process of its own; an interrupt reaches it even if pytest itself ignores those."""
        return subprocess.Popen(
            [sys.executable, "-m", "envbuild", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            encoding="utf-8",
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - the one call in it takes no lock
        )

    def has(self, lock: Lock, spec: str = SPEC) -> None:
        """Lay a spec and a lock into the folder."""
        self.spec.write_text(spec)
        self.lock.write_text(dumps(lock))

    def asks_for(self, *requirements: str) -> None:
        """Ask the spec for other Python packages."""
        listed = ", ".join(f'"{requirement}"' for requirement in requirements)
        self.spec.write_text(SPEC.replace('"numpy>=2", "scikit-learn"', listed))


@cache
def _command() -> Any:
    """Return the commands, made of their functions once: that takes longer than most commands."""
    return get_command(app)


def _heed_interrupts() -> Any:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
