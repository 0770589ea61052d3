"""A lock with warm caches beside uv alone, in turn: `python -m benchmarks.lock [ROUNDS]`.

uv resolves the same requirements for the same Python, with hashes.  The lock is removed before each run, so
that all of it is resolved; the first run of each only fills caches.  The bound is that of the least times.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import uv

from envbuild.lock.codec import loads

EXAMPLE = Path(__file__).parents[1] / "examples" / "sklearn"
ENVBUILD = str(Path(sys.executable).parent / "envbuild")

FACTOR, SECONDS = 2.0, 1.0
"""The bound: so often uv's own time, and so much more."""


def main() -> None:
    """Print the times of both, and whether the bound is held."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(EXAMPLE / "envbuild.toml", folder)
        lock = folder / "envbuild.lock"
        first = taken([ENVBUILD, "lock", "--quiet"], folder)
        text = lock.read_bytes()
        packages = tomllib.loads((folder / "envbuild.toml").read_text())["pip"]["packages"]
        (folder / "requirements.in").write_text("".join(f"{package}\n" for package in packages))
        python = loads(text.decode()).targets[0].interpreter.version
        compile_ = [
            uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-config", "--generate-hashes",
            "--only-binary=:all:", f"--python-version={python}",
            "--python-platform=x86_64-manylinux_2_36", "requirements.in",
        ]  # fmt: skip
        taken(compile_, folder)
        ours, theirs = [], []
        for _ in range(rounds):
            theirs.append(taken(compile_, folder))
            lock.unlink()
            ours.append(taken([ENVBUILD, "lock", "--quiet"], folder))
            if lock.read_bytes() != text:
                raise SystemExit("the lock has other bytes than the first one")
    bound = FACTOR * min(theirs) + SECONDS
    print(f"{'':24}  least  median")
    print(f"{'uv pip compile':24} {min(theirs):6.2f} {statistics.median(theirs):7.2f}")
    print(f"{'envbuild lock, warm':24} {min(ours):6.2f} {statistics.median(ours):7.2f}")
    print(f"{'the first lock':24} {first:6.2f}")
    print(f"bound {FACTOR:g} x uv + {SECONDS:g} s: {bound:.2f}: {'held' if min(ours) <= bound else 'missed'}")


def taken(command: Sequence[str], folder: Path) -> float:
    """Return the seconds that a command takes."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
