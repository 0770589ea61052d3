"""How long the commands take, each beside a peer that does the same work in the same run."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uv

from envbuild.cache.folders import LISTINGS, REFERENCES
from envbuild.cache.location import cache_folder

EXAMPLE = Path(__file__).parents[1] / "examples" / "sklearn"
BIN = Path(sys.executable).parent
ENVBUILD = str(BIN / "envbuild")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: seconds of ours and of the peer, and the bound the project sets itself."""

    name: str
    ours: float
    peer: float
    bound: str


def seconds(command: Sequence[str], folder: Path, *, repeat: int = 5, before: Sequence[Path] = ()) -> float:
    """Return the least of ``repeat`` runs; the paths in ``before`` are removed ahead of each."""
    taken = []
    for _ in range(repeat):
        for path in before:
            path.unlink(missing_ok=True)
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        taken.append(time.perf_counter() - started)
    return min(taken)


def measure() -> Iterator[Row]:
    """Yield the comparisons.  Needs a Docker Engine, the index and the archive."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(EXAMPLE / "envbuild.toml", folder)
        python = [sys.executable, "-c", "pass"]
        bare = seconds(python, folder)
        yield Row("envbuild --help, bare interpreter", seconds([ENVBUILD, "--help"], folder), bare, "+ 0.2 s")

        subprocess.run([ENVBUILD, "lock"], cwd=folder, check=True, capture_output=True)
        packages = tomllib.loads((folder / "envbuild.toml").read_text())["pip"]["packages"]
        (folder / "requirements.in").write_text("\n".join(packages) + "\n")
        compile_ = [
            uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-config", "--python-version", "3.11.2",
            "--python-platform", "x86_64-manylinux_2_36", "--only-binary", ":all:", "requirements.in",
        ]  # fmt: skip
        peer = seconds(compile_, folder)
        lock = seconds([ENVBUILD, "lock"], folder, before=[folder / "envbuild.lock"])
        yield Row("lock, uv pip compile alone", lock, peer, "1.5 x + apt's own")
        yield Row(
            "lock --check, bare interpreter", seconds([ENVBUILD, "lock", "--check"], folder), bare, "0.5 s"
        )

        image = subprocess.run(
            [ENVBUILD, "build"], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()
        yield Row(
            "build of an existing tag, bare interpreter", seconds([ENVBUILD, "build"], folder), bare, "0.5 s"
        )
        run = seconds(["docker", "run", "--rm", image, "python", "-c", ""], folder)
        yield Row("verify, docker run", seconds([ENVBUILD, "verify"], folder), run, "2 x + 2 s")
        yield from deep_verification(folder, image)


def deep_verification(folder: Path, image: str) -> Iterator[Row]:
    """Yield how long it takes to compare every file of ``image``, beside the engine's own writing it out."""
    save = seconds(["docker", "save", "--output", str(folder / "saved.tar"), image], folder, repeat=2)
    local = [ENVBUILD, "verify", "--exact", "--engine", "local"]
    subprocess.run([ENVBUILD, "build", "--engine", "local"], cwd=folder, check=True, capture_output=True)
    # the reference's list is kept, and nothing of the image that the engine holds
    for kept in (LISTINGS, REFERENCES):
        shutil.rmtree(kept.path(cache_folder()), ignore_errors=True)
    reference = seconds(local, folder, repeat=1)
    deep = [ENVBUILD, "verify", "--deep"]
    yield Row("verify --deep, reference kept, docker save", seconds(deep, folder, repeat=1), save, "8 s")
    yield Row("verify --deep again, docker save", seconds(deep, folder), save, "3 s")
    yield Row("verify --exact, local image, docker save", seconds(local, folder), save, "1 s")
    yield Row("the reference, its layers cached, docker save", reference, save, "")


def main() -> None:
    """Print the comparisons as a table."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| ours, peer | ours (s) | peer (s) | ratio | bound |\n|---|---|---|---|---|")
    for row in measure():
        ratio = row.ours / row.peer
        print(f"| {row.name} | {row.ours:.2f} | {row.peer:.2f} | {ratio:.1f} | {row.bound} |", flush=True)


if __name__ == "__main__":
    main()
