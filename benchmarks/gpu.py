"""What CUDA costs a lock of the torch stack: `python -m benchmarks.gpu`, each beside a peer in the same run.

Needs the network, for the wheels of examples/torch-gpu too (3 GB) unless the store or ``ENVBUILD_VENDOR_DIR``
has them.
Warm: package lists, index pages and metadata are cached by a first run.  Processor seconds stand beside the
clock's: a busy machine stretches only the latter.
"""

import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.artifacts import fetch
from envbuild.cache.location import cache_folder
from envbuild.lock.codec import loads
from envbuild.parallel import run_all
from envbuild.progress import SilentProgress
from envbuild.resolve.gpu.architectures import read_architectures, wheels_to_read
from envbuild.resolve.gpu.choose_base import choose_base
from envbuild.resolve.gpu.derive import derive
from envbuild.resolve.gpu.facts import compose_facts
from envbuild.resolve.gpu.findings import find
from envbuild.resolve.gpu.match_base import packages_of
from envbuild.spec.request import GpuRequest
from envbuild.store.store import HASHERS, Store

EXAMPLE = Path(__file__).parents[1] / "examples" / "torch-gpu"
ENVBUILD = str(Path(sys.executable).parent / "envbuild")
NOTHING = GpuRequest()


def taken(work: Callable[[], object], *, repeat: int = 1) -> tuple[float, float]:
    """Return the least seconds of ``repeat`` runs by the clock, and of those by the processor."""
    found = []
    for _ in range(repeat):
        started, used = time.perf_counter(), _processor()
        work()
        found.append((time.perf_counter() - started, _processor() - used))
    return min(found)


def _processor() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> None:
    """Print the comparisons as a table."""
    lock = loads((EXAMPLE / "envbuild.lock").read_text())
    (target,) = lock.targets
    wheels = lock.wheels_of(target)
    environment = lock.base(target).env
    fetch(EXAMPLE, cache_folder())
    store = Store(cache_folder())

    def derivation() -> None:
        packages = packages_of(wheels)
        derived = derive(packages)
        find(packages, derived, NOTHING)
        choose_base(derived, NOTHING, python="3.11")
        compose_facts(derived, NOTHING, flavour="slim", base_environment=environment)

    reading = wheels_to_read(wheels)

    def read(cache: Path) -> None:
        read_architectures(reading, store=store, fetch=lambda _: None, cache=cache, progress=SilentProgress())

    def hashing() -> None:
        def digest(sha256: str) -> None:
            with store.place_of(sha256).open("rb") as stream:
                hashlib.file_digest(stream, "sha256")

        run_all(digest, [wheel.sha256 for wheel in reading], workers=HASHERS)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = (EXAMPLE / "envbuild.toml").read_text().partition("[gpu]")[0]
        (folder / "envbuild.toml").write_text(f"{spec}[gpu]\n")

        def locking() -> None:
            (folder / "envbuild.lock").unlink(missing_ok=True)
            subprocess.run([ENVBUILD, "lock"], cwd=folder, check=True, capture_output=True)

        locking()
        rows = [
            ("derivation, whole lock", taken(derivation, repeat=20), taken(locking, repeat=3), "5 %"),
            (
                "architectures cold, sha256 of the same wheels",
                taken(lambda: read(folder)),
                taken(hashing),
                "15 s",
            ),
            (
                "architectures cached, the same cold",
                taken(lambda: read(folder), repeat=5),
                (0.0, 0.0),
                "0.2 s",
            ),
        ]
        rows[2] = (rows[2][0], rows[2][1], rows[1][1], rows[2][3])
        shutil.rmtree(folder / "architectures")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| ours, peer | ours (s) | of it processor | peer (s) | processor | ratio | bound |")
    print("|---|---|---|---|---|---|---|")
    for title, ours, peer, bound in rows:
        cells = [f"{ours[0]:.3f}", f"{ours[1]:.3f}", f"{peer[0]:.3f}", f"{peer[1]:.3f}"]
        print(f"| {title} | {' | '.join(cells)} | {ours[0] / peer[0]:.3f} | {bound} |", flush=True)


if __name__ == "__main__":
    main()
