"""What reviewing and many environments cost.

A comparison of two locks of 300 packages beside git's own of the same files, and twenty specs with the same
packages locked at once beside one of them.  Needs the index, the archive and git.

usage: python -m benchmarks.review
"""

import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.commands import ENVBUILD, EXAMPLE, seconds
from envbuild.lock.codec import dumps, loads
from envbuild.lock.model import Lock, Wheel

PACKAGES = 300
SPECS = 20


def grown(lock: Lock, packages: int, *, version: str) -> Lock:
    """Return ``lock`` with wheels of our own making, until it holds ``packages`` of all kinds."""
    (target,) = lock.targets
    missing = packages - len(lock.wheels) - len(lock.debs)
    pattern = lock.wheels[0]
    made: list[Wheel] = []
    for number in range(missing):
        release = version if number % 3 else "1.0"
        made.append(
            pattern.model_copy(
                update={
                    "name": f"x{number}",
                    "version": release,
                    "file": f"x{number}-{release}-py3-none-any.whl",
                    "sha256": f"{number:064x}",
                }
            )
        )
    wheels = sorted((*lock.wheels, *made), key=lambda wheel: wheel.file)
    files = tuple(sorted((*target.wheels, *(wheel.file for wheel in made))))
    return lock.model_copy(
        update={"wheels": tuple(wheels), "targets": (target.model_copy(update={"wheels": files}),)}
    )


def comparing(folder: Path) -> None:
    """Print what a comparison takes."""
    lock = loads((EXAMPLE / "envbuild.lock").read_text(encoding="utf-8"))
    for name, version in (("old", "1.0"), ("new", "2.0")):
        (folder / f"{name}.lock").write_text(dumps(grown(lock, PACKAGES, version=version)), encoding="utf-8")
    # git shows lines: what a reader had before
    git = seconds(["sh", "-c", "git diff --no-index old.lock new.lock || true"], folder)
    ours = seconds([ENVBUILD, "diff", "old.lock", "new.lock"], folder)
    print(f"| diff of {PACKAGES} packages, git diff | {ours:.2f} | {git:.2f} | {ours / git:.1f} | 0.5 s |")


def locking(folder: Path) -> None:
    """Print what twenty locks take beside one."""
    spec = (EXAMPLE / "envbuild.toml").read_text(encoding="utf-8")
    folders = [folder / f"e{number:02}" for number in range(SPECS)]
    for place in folders:
        place.mkdir()
        (place / "envbuild.toml").write_text(spec.replace('"sklearn"', f'"{place.name}"'), encoding="utf-8")
    alone = folders[0]
    subprocess.run([ENVBUILD, "lock"], cwd=alone, check=True, capture_output=True)
    one = seconds([ENVBUILD, "lock"], alone, repeat=3, before=[alone / "envbuild.lock"])
    locks = [place / "envbuild.lock" for place in folders]
    every = seconds([ENVBUILD, "lock", "--all", "--quiet"], folder, repeat=3, before=locks)
    print(f"| lock of {SPECS} specs, of one | {every:.2f} | {one:.2f} | {every / one:.1f} | 3 x |")


def main() -> None:
    """Print the comparisons as a table."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| ours, peer | ours (s) | peer (s) | ratio | bound |\n|---|---|---|---|---|")
    for measure in (comparing, locking):
        with tempfile.TemporaryDirectory() as name:
            measure(Path(name))


if __name__ == "__main__":
    main()
