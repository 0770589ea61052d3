"""A git repository with a lock in it, driven by the real git."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from envbuild.lock.codec import dumps
from envbuild.lock.model import Lock
from tests.rig.paths import CHECKOUT
from tests.rig.program import SPEC, Program

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True, slots=True)
class Repository:
    """The folder of a program, under version control."""

    program: Program

    @classmethod
    def of(cls, program: Program, lock: Lock) -> "Repository":
        """Start a repository whose first commit holds the spec and ``lock``."""
        program.has(lock)
        repository = cls(program)
        repository.git("init", "--quiet", "--initial-branch=main")
        repository.commit()
        return repository

    def git(self, *arguments: str, fails: bool = False) -> str:
        """Run git and return what it said."""
        # git starts the driver by its name, as a shell would find it
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        result = subprocess.run(
            ["git", *arguments],
            cwd=self.program.folder,
            env={**os.environ, **IDENTITY, "PATH": path, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (result.returncode != 0) == fails, result.stderr
        return result.stdout + result.stderr

    def commit(self, lock: Lock | None = None, *asks: str) -> None:
        """Commit ``lock``, with the requirements ``asks`` in the spec."""
        if lock is not None:
            self.program.lock.write_text(dumps(lock))
        if asks:
            listed = "".join(f'    "{requirement}",\n' for requirement in sorted(asks))
            self.program.spec.write_text(
                SPEC.replace('packages = ["numpy>=2", "scikit-learn"]', f"packages = [\n{listed}]")
            )
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")

    def branch(self, name: str, lock: Lock, *asks: str) -> None:
        """Commit ``lock`` on a branch of its own that starts at main."""
        self.git("switch", "--quiet", "--create", name, "main")
        self.commit(lock, *asks)
