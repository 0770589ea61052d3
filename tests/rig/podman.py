"""Podman with a storage of its own, which goes with the `with` block; no service, no daemon."""

import json
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Podman:
    """Runs podman."""

    folder: Path

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [
                "podman",
                *("--root", str(self.folder / "root"), "--runroot", str(self.folder / "run")),
                # crun, the default, refuses machines with both versions of cgroups
                *("--tmpdir", str(self.folder / "tmp"), "--runtime", "runc", "--cgroup-manager", "cgroupfs"),
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"podman {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def run(self, reference: str, *command: str) -> str:
        """Run a command in a fresh container without a network."""
        # podman asks for more than the machine may allow, and is refused
        open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        limits = [
            f"--ulimit=nofile={min(1024, open_files)}",
            f"--ulimit=nproc={4096 if processes < 0 else min(4096, processes)}",
        ]
        return self("run", "--rm", "--network=none", *limits, reference, *command)

    @property
    def policy(self) -> str:
        """An option that lets any image in: minimal machines have no policy."""
        path = self.folder / "policy.json"
        path.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        return f"--signature-policy={path}"


@contextmanager
def own_podman() -> Iterator[Podman]:
    """Yield Podman with an empty storage, which is removed at the end."""
    # podman takes no path of more than 50 characters
    with tempfile.TemporaryDirectory(prefix="pod-", dir="/tmp", ignore_cleanup_errors=True) as name:
        podman = Podman(Path(name))
        try:
            yield podman
        finally:
            podman("rmi", "--all", "--force")
