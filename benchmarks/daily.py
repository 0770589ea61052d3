"""The verbs of every day, each beside a peer in turn: `python -m benchmarks.daily [ROUNDS]`.

Needs a Docker Engine, Debian's docker-registry, the index and the archive.  Times are in seconds, of whole
processes; each row has the least and the median of both, and says whether its bound is held by the least.
"""

import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from tests.rig.registry import running_registry

EXAMPLE = Path(__file__).parents[1] / "examples" / "sklearn"
ENVBUILD = str(Path(sys.executable).parent / "envbuild")

PROMPT = b":/workspace"
"""What the prompt of Debian's bash has in the working directory, before `$` or `#`."""

PATIENCE_SECONDS = 60


def seconds(command: Sequence[str], folder: Path, **variables: str) -> float:
    """Return how long a command takes."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, **variables})
    return time.perf_counter() - started


def seconds_to_prompt(command: Sequence[str], folder: Path) -> float:
    """Return how long a command takes on a terminal of its own until it shows :data:`PROMPT`."""
    started = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvp(command[0], list(command))  # noqa: S606 - nothing is to come between
    try:
        seen = b""
        while PROMPT not in seen:
            if not select.select([terminal], [], [], PATIENCE_SECONDS)[0]:
                raise SystemExit(f"no prompt of {command}: {seen[-200:]!r}")
            seen += os.read(terminal, 4096)
        taken = time.perf_counter() - started
        os.write(terminal, b"exit\n")
        _read_to_the_end(terminal)
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    return taken


def _read_to_the_end(terminal: int) -> None:
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        # how a terminal says that its program has ended
        return


def compare(
    name: str,
    rounds: int,
    ours: Callable[[], float],
    peer: Callable[[], float],
    *,
    factor: float = 1.0,
    more: float = 0.0,
) -> None:
    """Measure both in turn and print the row; the bound is ``factor`` × the peer + ``more`` seconds."""
    pairs = [(peer(), ours()) for _ in range(rounds)]
    theirs, mine = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    bound = factor * min(theirs) + more
    verdict = "held" if min(mine) <= bound else "missed"
    print(
        f"{name:58} {min(mine):6.2f} ({median(mine):5.2f}) {min(theirs):6.2f} ({median(theirs):5.2f})"
        f"  {bound:5.2f} {verdict}",
        flush=True,
    )


def main() -> None:
    """Print the rows."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {rounds} rounds in turn")
    print(f"{'ours, peer':58} {'ours':>14} {'peer':>14}  bound")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        folder.mkdir()
        spec = (EXAMPLE / "envbuild.toml").read_text()
        (folder / "envbuild.toml").write_text(
            spec.replace('name = "sklearn"', f'name = "daily-{os.getpid()}"')
        )
        bare = lambda: seconds([sys.executable, "-c", "pass"], folder)  # noqa: E731
        seconds([ENVBUILD, "lock"], folder)
        for words in (["tree"], ["why", "numpy"]):
            compare(
                f"{' '.join(words)}, bare interpreter",
                rounds,
                lambda words=words: seconds([ENVBUILD, *words], folder),  # type: ignore[misc]
                bare,
                more=0.3,
            )
        _edits(folder, rounds)
        image = _built(folder)
        try:
            _shells(folder, image, rounds)
        finally:
            subprocess.run(["docker", "image", "rm", "--force", image], check=False, capture_output=True)
        _registry(Path(name), folder, rounds)


def _edits(folder: Path, rounds: int) -> None:
    spec, lock = folder / "envbuild.toml", folder / "envbuild.lock"
    before, locked = spec.read_bytes(), lock.read_bytes()

    def add() -> float:
        spec.write_bytes(before)
        lock.write_bytes(locked)
        return seconds([ENVBUILD, "add", "six"], folder)

    def lock_alone() -> float:
        spec.write_bytes(before.replace(b'"scikit-learn"]', b'"scikit-learn", "six"]'))
        lock.write_bytes(locked)
        return seconds([ENVBUILD, "lock"], folder)

    add(), lock_alone()
    compare("add, lock of the same change", rounds, add, lock_alone, more=0.3)
    spec.write_bytes(before)
    lock.write_bytes(locked)


def _built(folder: Path) -> str:
    done = subprocess.run([ENVBUILD, "build"], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _shells(folder: Path, image: str, rounds: int) -> None:
    peer = [
        "docker",
        "run",
        "--interactive",
        "--tty",
        "--rm",
        "--volume",
        f"{folder}:/workspace",
        image,
        "bash",
    ]
    for engine in ("docker", "local"):
        words = [ENVBUILD, "shell", "--engine", engine]
        seconds_to_prompt(words, folder)
        compare(
            f"shell --engine {engine} to its prompt, docker run -it",
            rounds,
            lambda words=words: seconds_to_prompt(words, folder),  # type: ignore[misc]
            lambda: seconds_to_prompt(peer, folder),
            factor=1.5,
        )


def _registry(scratch: Path, folder: Path, rounds: int) -> None:
    spec = folder / "envbuild.toml"
    with running_registry(scratch / "registry") as registry:
        repository = f"{registry.host}/daily"
        spec.write_text(spec.read_text().replace("[image]\n", f'[image]\nrepository = "{repository}"\n'))
        seconds([ENVBUILD, "lock"], folder)
        seconds([ENVBUILD, "build", "--engine", "local", "--push"], folder)
        for engine in ("docker", "local"):
            cache = scratch / f"empty-{engine}"

            def build(engine: str = engine, cache: Path = cache) -> float:
                shutil.rmtree(cache, ignore_errors=True)
                return seconds([ENVBUILD, "build", "--engine", engine], folder, ENVBUILD_CACHE_DIR=str(cache))

            compare(
                f"build --engine {engine} of what the registry has, bare Python",
                rounds,
                build,
                lambda: seconds([sys.executable, "-c", "pass"], folder),
                more=1.0,
            )
            held = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
            print(f"{'':4}bytes in the cache: {held}")


if __name__ == "__main__":
    main()
