"""A project whose image is a small root with a shell, held by an engine without any build."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from envbuild.image.built_image import image_reference_for
from envbuild.lock.codec import dumps
from envbuild.lock.identity import target_digest
from envbuild.lock.model import Lock
from envbuild.render.labels import labels_of
from tests.rig.locks import sample_lock
from tests.rig.paths import CHECKOUT
from tests.rig.running import envbuild
from tests.rig.small_root import add_program, make_small_root
from tests.rig.small_root_image import give_docker, give_local
from tests.rig.terminal import Terminal

PROGRAMS = ("bash", "true", "env", "pwd", "stty", "tty", "yes", "head", "wc", "tr", "setsid", "mkfifo")


@dataclass(frozen=True)
class ShellProject:
    """A project of a lock alone, and how its engine is called."""

    folder: Path
    engine: str
    environment: Mapping[str, str]
    reference: str

    def __call__(
        self, *arguments: str, check: bool = True, folder: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run ``envbuild COMMAND`` with the rest of its arguments, in the folder or another."""
        return envbuild(
            *self.words(*arguments), folder=folder or self.folder, environment=self.environment, check=check
        )

    def words(self, command: str, *arguments: str) -> tuple[str, ...]:
        """Return a command line of the program."""
        return (command, "--frozen", "--spec", str(self.folder), "--engine", self.engine, *arguments)

    @contextlib.contextmanager
    def popen(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> "Iterator[subprocess.Popen[str]]":
        """Start the program in a session of its own; it writes to pipes, and does not outlive the block."""
        with subprocess.Popen(
            [sys.executable, "-m", "envbuild", *self.words(*arguments)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **self.environment},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as running:
            try:
                yield running
            finally:
                # or leaving the block would wait for what a test gave up
                running.kill()

    def on_terminal(self, *arguments: str, columns: int = 80) -> Terminal:
        """Start the program on a terminal."""
        return Terminal(
            *("-m", "envbuild", *self.words(*arguments)),
            columns=columns,
            folder=self.folder,
            environment=self.environment,
        )

    def containers(self) -> list[str]:
        """Return what is there of containers of the image: the engine's own, or folders and mounts."""
        if self.engine == "docker":
            asked = ("docker", "ps", "--all", "--quiet", "--filter", f"ancestor={self.reference}")
            return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
        cache = Path(self.environment["ENVBUILD_CACHE_DIR"])
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return [
            *(str(path) for path in cache.rglob("root-*")),
            *(line for line in mounts if str(cache) in line),
        ]


def give_shell_project(engine: str, folder: Path) -> ShellProject:
    """Make a project in ``folder`` whose image ``engine`` holds."""
    root = make_small_root(folder / "root")
    for program in PROGRAMS:
        add_program(root, program)
    (root / "root").mkdir(mode=0o700)
    (root / "workspace").mkdir()
    lock = _named(f"shell-{engine}-{os.getpid()}")
    (target,) = lock.targets
    reference, cache = image_reference_for(lock, target), folder / "cache"
    if engine == "docker":
        found = labels_of(lock, target, target_digest(lock, target), engine=engine)
        changes = [f'LABEL "{name}"="{value}"' for name, value in found.items()]
        give_docker(root, reference, *changes, f"ENV PATH={target.env['PATH']}", "USER 1000:1000")
    else:
        give_local(root, reference, cache, lock)
    shutil.rmtree(root)
    project = folder / "project"
    (project / "sub").mkdir(parents=True)
    (project / "envbuild.lock").write_text(dumps(lock))
    return ShellProject(project, engine, {"ENVBUILD_CACHE_DIR": str(cache)}, reference)


def _named(name: str) -> Lock:
    lock = sample_lock()
    return lock.model_copy(update={"request": lock.request.model_copy(update={"name": name})})
