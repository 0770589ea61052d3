"""What records and data cost, each beside a peer in turn.

`python -m benchmarks.experiments [ROUNDS [GIGABYTES]]` needs root for the local engine, the index and the
archive, and room for the data.  Times are in seconds, of whole processes; each row has the least and the
median of both, and says whether its bound is held by the least.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.daily import ENVBUILD, compare, seconds

SPEC = """\
name = "records"
python = "3.11"

[base]
packages = "debian:bookworm"

[pip]
packages = ["mlflow-skinny"]

[experiments]
"""

DATA = """
[[data]]
name = "large"
"""

LOADS = "import mlflow.tracking.context.registry as r; r.resolve_tags()"
"""Imports MLflow, loads its plugins and asks them for tags, as a run does that begins."""

WITHOUT = f"import sys; sys.modules['envbuild_runtime'] = None; {LOADS}"
"""The same where our plugin cannot be imported."""


def main() -> None:
    """Print the rows."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    gigabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 10  # noqa: PLR2004
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {rounds} rounds in turn")
    print(f"{'ours, peer':58} {'ours':>14} {'peer':>14}  bound")
    with tempfile.TemporaryDirectory(dir=os.environ.get("ENVBUILD_BENCH_DIR")) as name:
        folder = Path(name)
        (folder / "envbuild.toml").write_text(SPEC)
        for words in (["lock"], ["build", "--engine", "local"]):
            subprocess.run([ENVBUILD, *words], cwd=folder, check=True, capture_output=True)
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "one"]):
            subprocess.run(["git", *identity, *words], cwd=folder, check=True)
        _records(folder, rounds)
        _data(folder, min(rounds, 3), gigabytes)


def _run(folder: Path, *words: str) -> Callable[[], float]:
    return lambda: seconds([ENVBUILD, "run", "--engine", "local", *words], folder)


def _records(folder: Path, rounds: int) -> None:
    compare(
        "run -- true, with --no-record",
        rounds,
        _run(folder, "--", "true"),
        _run(folder, "--no-record", "--", "true"),
        more=0.02,
    )
    compare(
        "MLflow with its tags, without our plugin",
        rounds,
        _run(folder, "--", "python", "-c", LOADS),
        _run(folder, "--", "python", "-c", WITHOUT),
        more=0.05,
    )


def _data(folder: Path, rounds: int, gigabytes: int) -> None:
    place = folder / "data" / "large"
    place.mkdir(parents=True)
    block = os.urandom(1 << 24)
    for number in range(gigabytes):
        with (place / f"{number:03}.bin").open("wb") as stream:
            for part in range(60):
                # no two files are alike
                stream.write(f"{number} {part}".encode() + block[16:])
    (folder / "envbuild.toml").write_text(SPEC + DATA)
    (folder / ".gitignore").write_text("data/\n")
    subprocess.run([ENVBUILD, "data", "lock"], cwd=folder, check=True, capture_output=True)
    files = sorted(str(path) for path in place.iterdir())

    def cold(command: list[str]) -> Callable[[], float]:
        def measure() -> float:
            os.sync()
            # only the kernel's copies of files; needs root
            Path("/proc/sys/vm/drop_caches").write_text("3")
            return seconds(command, folder)

        return measure

    compare(
        f"data verify --again of {gigabytes} GB, cat of its files",
        rounds,
        cold([ENVBUILD, "data", "verify", "--again"]),
        cold(["cat", *files]),
    )
    bare = lambda: seconds([sys.executable, "-c", "pass"], folder)  # noqa: E731
    compare(
        f"data verify of {gigabytes} GB, a second look; bare interpreter",
        rounds,
        lambda: seconds([ENVBUILD, "data", "verify"], folder),
        bare,
        more=1.0,
    )


if __name__ == "__main__":
    main()
