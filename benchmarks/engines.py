"""The local engine against an expert's Dockerfile, until the image is in a registry or a command runs.

    python -m benchmarks.engines [--packages torch==2.14.1] [--rounds 3] [--json] [--only cold,change,…]

Of the torch stack the peer's builds want some 40 GB of free disk.

The peer is what somebody who knows the trade writes: BuildKit, wheels bind-mounted, `uv pip install` without
a network, bytecode compiled, one layer, pushed from the builder.  Both stand on the same base, which both
have; the artifacts are on disk; every cold round has an empty cache and an empty registry.  Needs a Docker
Engine (`DOCKER_HOST`), the index and the archive; `ENVBUILD_VENDOR_DIR` saves downloads.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uv

from benchmarks.artifacts import fetch
from benchmarks.layers import inflate_and_compress
from envbuild.cache import layout
from envbuild.formats.zip_member import read_member
from envbuild.lock.codec import loads
from envbuild.store.store import Store
from tests.rig.bases import debian_base, push_base
from tests.rig.registry import Registry, running_registry

BIN = Path(sys.executable).parent
ENVBUILD = str(BIN / "envbuild")
EXAMPLE = Path(__file__).parents[1] / "examples" / "sklearn"
SMALL = ("idna", "six", "certifi", "click", "tomli", "packaging", "attrs", "colorama", "pluggy", "iniconfig")
BENCH, PEER = "envbuild-bench-peer:", "peer/stack:"
"""What the names of the peer's images begin with."""

PARTS = ("cold", "change", "ten", "run", "example", "floor")
DOCKERFILE = """\
FROM {base}
RUN --network=none --mount=type=bind,from=wheels,target=/dev/wheels \\
    --mount=type=bind,from=tools,target=/dev/tools \\
    python3 -m venv --without-pip /opt/venv && \\
    /dev/tools/uv pip install --python /opt/venv --no-cache --no-index --no-deps --link-mode=copy \\
        --compile-bytecode /dev/wheels/*.whl
ENV PATH=/opt/venv/bin:$PATH
"""


@dataclass
class Bench:
    """Where everything is, and what was measured."""

    folder: Path
    packages: tuple[str, ...]
    base_host: Registry
    figures: dict[str, float] = field(default_factory=dict)
    shown: int = 0

    @property
    def artifacts(self) -> Path:
        """A cache folder that has the artifacts and nothing else."""
        return self.folder / "artifacts"

    def project(self, name: str, packages: Sequence[str], registry: str) -> Path:
        """Return a folder with a spec and its lock."""
        folder = self.folder / "projects" / name
        if not (folder / "envbuild.lock").exists():
            folder.mkdir(parents=True, exist_ok=True)
            listed = ", ".join(json.dumps(package) for package in packages)
            (folder / "envbuild.toml").write_text(
                f'name = "{name}"\npython = "3.11"\nplatforms = ["linux/amd64"]\n'
                f'[base]\nimage = "{self.base_host.host}/library/debian:bookworm"\n'
                f'[pip]\npackages = [{listed}]\n[image]\nrepository = "{registry}/{name}"\n'
            )
            envbuild("lock", folder=folder, cache=self.artifacts)
        return folder

    def fresh_cache(self, name: str) -> Path:
        """Return a cache folder with the artifacts and the base, and no layer."""
        cache = self.folder / "caches" / name
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir(parents=True)
        for part in (layout.ARTIFACTS.name, layout.BASES.name, layout.DOCUMENTS.name):
            if (self.artifacts / part).exists():
                subprocess.run(["cp", "-al", self.artifacts / part, cache / part], check=True)
        return cache


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", nargs="+", default=["torch==2.14.1"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    with tempfile.TemporaryDirectory(prefix="envbuild-bench-", dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        with running_registry(folder / "base-registry") as base_host:
            push_base(debian_base(), base_host, "library/debian", "bookworm")
            bench = Bench(folder, tuple(arguments.packages), base_host)
            prepare(bench)
            for part in parts:
                PART[part](bench, arguments.rounds)
                print(f"{part}: done", file=sys.stderr, flush=True)
                if not arguments.json:
                    show(bench)
    if arguments.json:
        print(json.dumps(bench.figures, indent=2))
    return 0


def show(bench: Bench) -> None:
    """Print what was not printed yet: should a later part fail, this is known."""
    print(f"({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})")
    for key, value in list(bench.figures.items())[bench.shown :]:
        print(f"{key:68} {value:.4g}", flush=True)
    bench.shown = len(bench.figures)


def prepare(bench: Bench) -> None:
    """Fetch the artifacts, and give both sides the base."""
    with running_registry(bench.folder / "prepare") as registry:
        project = bench.project("warm", ("six",), registry.host)
        envbuild("build", "--engine", "local", folder=project, cache=bench.artifacts)
        for folder in (layout.LAYERS.name, layout.WHEEL_TREES.name, layout.ROOTS.name):
            shutil.rmtree(bench.artifacts / folder, ignore_errors=True)
        stack = bench.project("stack", bench.packages, registry.host)
        envbuild("render", "--output", bench.folder / "rendered", folder=stack, cache=bench.artifacts)
        fetch(stack, bench.artifacts)
        docker("pull", "--quiet", f"{bench.base_host.host}/library/debian:bookworm")


def cold(bench: Bench, rounds: int) -> None:
    """All from nothing, until the image is in a registry; the peer also with zstd, for those who know it."""
    ours, peer, zstd, peaks = [], [], [], []
    for number in range(rounds):
        with running_registry(bench.folder / f"cold-{number}") as registry:
            project = moved(bench, "stack", registry.host)
            cache = bench.fresh_cache("cold")
            with peak_memory() as peak:
                ours.append(seconds(partial(push_ours, project, cache)))
            peaks.append(peak())
        with running_registry(bench.folder / f"cold-peer-{number}") as registry:
            peer.append(seconds(partial(push_peer, bench, "stack", registry.host, cached=False)))
            forget()
        with running_registry(bench.folder / f"cold-zstd-{number}") as registry:
            push = partial(push_peer, bench, "stack", registry.host, cached=False, compression="zstd")
            zstd.append(seconds(push))
            forget()
        for folder in bench.folder.glob("cold-*"):
            shutil.rmtree(folder)
    bench.figures |= {
        "cold, local, s": statistics.median(ours),
        "cold, Dockerfile, s": statistics.median(peer),
        "cold, Dockerfile with zstd, s": statistics.median(zstd),
        "cold, Dockerfile / local (>= 4)": statistics.median(peer) / statistics.median(ours),
        "cold, Dockerfile with zstd / local": statistics.median(zstd) / statistics.median(ours),
        "cold, peak memory of local and its children, MB (<= 500)": max(peaks) / 1e6,
    }


def change(bench: Bench, rounds: int) -> None:
    """One small package more."""
    ours, peer, shares = [], [], []
    with running_registry(bench.folder / "change") as registry:
        project, cache = moved(bench, "stack", registry.host), bench.fresh_cache("change")
        push_ours(project, cache)
        push_peer(bench, "stack", registry.host, cached=True)
        for number in range(rounds):
            bench.project(f"more-{number}", (*bench.packages, SMALL[number]), "unused.invalid")
            more = moved(bench, f"more-{number}", registry.host)
            fetch(more, bench.artifacts)
            copy_artifacts(bench, cache)
            before = stored(bench.folder / "change")
            ours.append(seconds(partial(push_ours, more, cache)))
            shares.append((stored(bench.folder / "change") - before) / size_of(cache, more))
            peer.append(seconds(partial(push_peer, bench, f"more-{number}", registry.host, cached=True)))
    bench.figures |= {
        "one package more, local, s": statistics.median(ours),
        "one package more, Dockerfile, s": statistics.median(peer),
        "one package more, Dockerfile / local (>= 30)": statistics.median(peer) / statistics.median(ours),
        "one package more, pushed / image, % (<= 1)": 100 * max(shares),
    }
    forget()
    shutil.rmtree(bench.folder / "change")


def ten(bench: Bench, _rounds: int) -> None:
    """Ten environments that share the stack."""
    with running_registry(bench.folder / "ten") as registry:
        cache = bench.fresh_cache("ten")
        sizes = []
        for number, package in enumerate(SMALL):
            project = bench.project(f"ten-{number}", (*bench.packages, package), registry.host)
            fetch(project, bench.artifacts)
            copy_artifacts(bench, cache)
            push_ours(project, cache)
            sizes.append((stored(bench.folder / "ten"), tree_size(cache / "layers" / "sha256")))
    bench.figures |= {
        "ten environments, pushed / one (<= 1.2)": sizes[-1][0] / sizes[0][0],
        "ten environments, kept here / one (<= 1.2)": sizes[-1][1] / sizes[0][1],
    }
    shutil.rmtree(bench.folder / "ten")


def run(bench: Bench, rounds: int) -> None:
    """Until a command has run in a container on this machine's engine."""
    ours, peer, ours_again, peer_again = [], [], [], []
    for number in range(rounds):
        stack = bench.project("stack", bench.packages, "unused.invalid")
        more = bench.project(f"more-{number}", (*bench.packages, SMALL[number]), "unused.invalid")
        fetch(more, bench.artifacts)
        cache = bench.fresh_cache("run")
        forget()
        ours.append(seconds(partial(run_ours, stack, cache)))
        ours_again.append(seconds(partial(run_ours, more, cache)))
        forget()
        peer.append(seconds(partial(run_peer, bench, "stack", cached=False)))
        peer_again.append(seconds(partial(run_peer, bench, f"more-{number}", cached=True)))
        forget()
    bench.figures |= {
        "until a command runs, local, s": statistics.median(ours),
        "until a command runs, Dockerfile, s": statistics.median(peer),
        "until a command runs, Dockerfile / local (>= 1.5)": statistics.median(peer)
        / statistics.median(ours),
        "the same after a small change, local, s": statistics.median(ours_again),
        "the same after a small change, Dockerfile, s": statistics.median(peer_again),
        "the same after a small change, Dockerfile / local (>= 10)": statistics.median(peer_again)
        / statistics.median(ours_again),
    }


def example(bench: Bench, rounds: int) -> None:
    """The example, base and all, with both engines of envbuild."""
    project = bench.folder / "projects" / "example"
    shutil.copytree(EXAMPLE, project, dirs_exist_ok=True)
    cache = bench.folder / "caches" / "example"
    fetch(project, cache)
    ours, docker, warm = [], [], []
    for _ in range(rounds):
        for part in (layout.LAYERS, layout.WHEEL_TREES, layout.UNPACKED, layout.ROOTS, layout.IMAGES):
            shutil.rmtree(cache / part.name, ignore_errors=True)
        ours.append(
            seconds(partial(envbuild, "build", "--frozen", "--engine", "local", folder=project, cache=cache))
        )
        warm.append(
            seconds(partial(envbuild, "build", "--frozen", "--engine", "local", folder=project, cache=cache))
        )
        docker.append(
            seconds(
                lambda: envbuild(
                    "build", "--frozen", "--engine", "docker", "--no-cache", folder=project, cache=cache
                )
            )
        )
    bench.figures |= {
        "example, local, s": statistics.median(ours),
        "example, docker engine, s": statistics.median(docker),
        "example, local / docker engine (<= 0.33)": statistics.median(ours) / statistics.median(docker),
        "example again, local, s (<= 1)": statistics.median(warm),
    }


def floor(bench: Bench, rounds: int) -> None:
    """What inflating and compressing the stack's bytes takes, with the same libraries on all cores."""
    lock = loads((bench.project("stack", bench.packages, "unused.invalid") / "envbuild.lock").read_text())
    store = Store(bench.artifacts)
    paths = [store.place_of(wheel.sha256) for wheel in lock.wheels_of(lock.targets[0])]
    taken = statistics.median(
        seconds(partial(inflate_and_compress, paths, read_member)) for _ in range(rounds)
    )
    bench.figures["inflate and compress alone, s"] = taken
    if "cold, local, s" in bench.figures:
        bench.figures["cold, local / that, bytecode and push included"] = (
            bench.figures["cold, local, s"] / taken
        )


PART: dict[str, Callable[[Bench, int], None]] = {
    "cold": cold,
    "change": change,
    "ten": ten,
    "run": run,
    "example": example,
    "floor": floor,
}


# --- both sides ---------------------------------------------------------------------------------


def envbuild(*arguments: str | Path, folder: Path, cache: Path) -> str:
    return _output(
        [ENVBUILD, *map(str, arguments)], cwd=folder, env={**os.environ, "ENVBUILD_CACHE_DIR": str(cache)}
    )


def docker(*arguments: str) -> str:
    return _output(["docker", *arguments])


def _output(command: list[str], **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout.strip()


def push_ours(project: Path, cache: Path) -> None:
    envbuild("build", "--frozen", "--engine", "local", "--push", folder=project, cache=cache)


def run_ours(project: Path, cache: Path) -> None:
    reference = envbuild("build", "--frozen", "--engine", "local", "--load", folder=project, cache=cache)
    docker("run", "--rm", reference, "python", "-c", "")


def build_peer(bench: Bench, name: str, *arguments: str, cached: bool) -> None:
    lock = loads((bench.folder / "projects" / name / "envbuild.lock").read_text())
    store = Store(bench.artifacts)
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        wheels, context = Path(folder, "wheels"), Path(folder, "context")
        wheels.mkdir()
        context.mkdir()
        for wheel in lock.wheels_of(lock.targets[0]):
            (wheels / wheel.file).hardlink_to(store.place_of(wheel.sha256))
        (context / "Dockerfile").write_text(
            DOCKERFILE.format(base=f"{bench.base_host.host}/library/debian:bookworm")
        )
        docker(
            *("buildx", "build", "--progress=plain", "--provenance=false", "--network=none"),
            *(() if cached else ("--no-cache",)),
            *("--build-context", f"wheels={wheels}"),
            *("--build-context", f"tools={Path(uv.find_uv_bin()).parent}"),
            *(*arguments, str(context)),
        )


def push_peer(bench: Bench, name: str, host: str, *, cached: bool, compression: str = "gzip") -> None:
    output = f"type=image,name={host}/{PEER}{name},push=true,compression={compression},oci-mediatypes=true"
    build_peer(bench, name, "--output", output, cached=cached)


def run_peer(bench: Bench, name: str, *, cached: bool) -> None:
    build_peer(bench, name, "--load", "--tag", f"{BENCH}{name}", cached=cached)
    docker("run", "--rm", f"{BENCH}{name}", "python", "-c", "")


def forget() -> None:
    """Remove the images of the benchmark from the engine."""
    listed = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    ours = [name for name in listed if any(part in name for part in ("unused.invalid/", BENCH, PEER))]
    if ours:
        docker("rmi", "--force", *ours)


def moved(bench: Bench, name: str, host: str) -> Path:
    """Return a project whose image goes to another registry; nothing else of its lock changes."""
    source = bench.folder / "projects" / name
    folder = bench.folder / "moved" / host.replace(":", "-") / name
    shutil.copytree(source, folder)
    lock = folder / "envbuild.lock"
    old = loads(lock.read_text()).request.repository or ""
    lock.write_text(lock.read_text().replace(old, f"{host}/{name}"))
    return folder


# --- measuring ----------------------------------------------------------------------------------


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@contextlib.contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Sample the proportional memory (PSS) of this process' children, and theirs, in bytes."""
    peak, stop = [0], threading.Event()

    def sample() -> None:
        while not stop.wait(0.1):
            peak[0] = max(peak[0], sum(map(_memory, _descendants(os.getpid()))))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield lambda: peak[0]
    finally:
        stop.set()
        thread.join()


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _memory(pid: int) -> int:
    try:
        if "docker-registry" in Path(f"/proc/{pid}/comm").read_text():
            return 0
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def stored(registry: Path) -> int:
    """Return the bytes of the blobs a registry has."""
    return tree_size(registry / "images/docker/registry/v2/blobs")


def tree_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def size_of(cache: Path, project: Path) -> int:
    """Return the bytes of a project's image as a registry has it."""
    document = json.loads(
        envbuild("build", "--frozen", "--engine", "local", "--json", folder=project, cache=cache)
    )
    return int(document["size"])


def copy_artifacts(bench: Bench, cache: Path) -> None:
    for path in (bench.artifacts / "sha256").rglob("*"):
        place = cache / "sha256" / path.relative_to(bench.artifacts / "sha256")
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            place.hardlink_to(path)


if __name__ == "__main__":
    sys.exit(main())
