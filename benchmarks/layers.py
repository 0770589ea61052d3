"""How fast wheels become layers, against nothing but inflating and compressing their bytes in the same run.

    python -m benchmarks.layers [--rounds 3] [--wheels FOLDER | REQUIREMENT…] [--json]

Without a folder, `pip download` brings the wheels of the requirements (`torch==2.14.1` unless given) from
whatever pip is configured with.  The peer inflates every file of every wheel and compresses the bytes with
the same libraries on all cores, largest file first; it hashes, verifies and writes nothing.  A second peer
inflates with the standard library's zlib.  Each measurement is a process of its own, so that its peak memory
is its own; bytecode is compiled by this interpreter.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from envbuild.cache import layout
from envbuild.digest import sha256_file
from envbuild.formats.compression import codec_of
from envbuild.formats.zip_member import read_member
from envbuild.image.local.layers.file_conflicts import WheelTreeCache
from envbuild.image.local.layers.store import LayerStore
from envbuild.image.local.layers.wheel_layer import WheelWorkshop
from envbuild.image.local.layers.wheel_layers import make_wheel_layers
from envbuild.render.layers import LAYERS, plan_wheel_layers
from envbuild.store.store import Store
from tests.rig.locks import wheel
from tests.rig.wheels import VERSION, this_python

CORES = len(os.sched_getaffinity(0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requirements", nargs="*", default=["torch==2.14.1"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--measure", choices=("layers", "bytecode", "warm", "peer", "zlib"), help=argparse.SUPPRESS
    )
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.cache)))
        return 0
    with tempfile.TemporaryDirectory(prefix="envbuild-bench-") as name:
        figures = compare(fill_store(Path(name), arguments), rounds=arguments.rounds)
    if arguments.json:
        print(json.dumps(figures, indent=2, sort_keys=True))
    else:
        for key, value in figures.items():
            print(f"{key:44} {value:.3g}")
    return 0


def fill_store(folder: Path, arguments: argparse.Namespace) -> Path:
    """Put the wheels into a store, and a list of them beside it; return its folder."""
    source = arguments.wheels
    if source is None:
        source = folder / "wheels"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", source, *arguments.requirements], check=True)
    store = Store(folder / "cache")
    listed = []
    for path in sorted(source.glob("*.whl")):
        sha256 = store.add_file(path, sha256=sha256_file(path))
        listed.append([path.name, path.stat().st_size, sha256])
    (store.folder / "wheels.json").write_text(json.dumps(listed))
    return store.folder


def compare(cache: Path, *, rounds: int) -> dict[str, float]:
    taken: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for what in ("peer", "zlib", "layers", "bytecode", "warm"):
            if what in {"layers", "bytecode"}:
                for folder in (layout.LAYERS, layout.WHEEL_TREES):
                    shutil.rmtree(folder.path(cache), ignore_errors=True)
            command = [sys.executable, "-m", "benchmarks.layers", "--measure", what, "--cache", cache]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            taken.setdefault(what, []).append(json.loads(done.stdout))
    middle = {
        what: {key: statistics.median(each[key] for each in runs) for key in runs[0]}
        for what, runs in taken.items()
    }
    return {
        "wheels": middle["layers"]["wheels"],
        "packed bytes": middle["layers"]["packed"],
        "unpacked bytes": middle["layers"]["unpacked"],
        "inflate and compress alone, seconds": middle["peer"]["seconds"],
        "the same with zlib, seconds": middle["zlib"]["seconds"],
        "layers without bytecode, seconds": middle["layers"]["seconds"],
        "layers with bytecode, seconds": middle["bytecode"]["seconds"],
        "layers again, seconds": middle["warm"]["seconds"],
        "layers without bytecode / peer": middle["layers"]["seconds"] / middle["peer"]["seconds"],
        "layers without bytecode / peer with zlib": middle["layers"]["seconds"] / middle["zlib"]["seconds"],
        "layers with bytecode / peer": middle["bytecode"]["seconds"] / middle["peer"]["seconds"],
        "peak memory without bytecode, MB": middle["layers"]["peak"],
        "peak memory with bytecode, MB": middle["bytecode"]["peak"],
    }


def measure(what: str, cache: Path) -> dict[str, float]:
    store = Store(cache)
    wheels = [
        wheel(*file.split("-")[:2], size=size).model_copy(update={"file": file, "sha256": sha256})
        for file, size, sha256 in json.loads((cache / "wheels.json").read_text())
    ]
    begun = time.perf_counter()
    unpacked = 0
    if what in {"peer", "zlib"}:
        read = read_member if what == "peer" else read_with_zlib
        inflate_and_compress([store.place_of(item.sha256) for item in wheels], read)
    else:
        workshop = WheelWorkshop(
            cache=LayerStore(cache),
            trees=WheelTreeCache(cache),
            open_wheel=lambda item: store.open_verified(item.sha256),
            codec=codec_of("zstd"),
            prefix="/opt/venv",
            python=VERSION,
            compiler=None if what == "layers" else this_python(),
        )
        layers = make_wheel_layers(plan_wheel_layers(wheels, budget=LAYERS), workshop)
        unpacked = sum(layer.unpacked for layer in layers)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    packed = sum(item.size for item in wheels)
    return {
        "seconds": seconds,
        "peak": peak,
        "packed": packed,
        "unpacked": unpacked,
        "wheels": len(wheels),
    }


def read_with_zlib(_: BinaryIO, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as stream:
        yield from iter(lambda: stream.read(1 << 20), b"")


def inflate_and_compress(paths: list[Path], read: Callable[..., Iterator[bytes]]) -> None:
    def one(path: Path, info: zipfile.ZipInfo) -> None:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            compressor = codec_of("zstd").compressor()
            for chunk in read(file, archive, info):
                compressor.compress(chunk)
            compressor.flush()

    def many(path: Path, infos: list[zipfile.ZipInfo]) -> None:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            compressor = codec_of("zstd").compressor()
            pending = bytearray()
            for info in infos:
                for chunk in read(file, archive, info):
                    pending += chunk
                if len(pending) > 1 << 20:
                    compressor.compress(bytes(pending))
                    pending.clear()
            compressor.compress(bytes(pending))
            compressor.flush()

    work = []
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
        large = [info for info in infos if info.file_size >= 1 << 20]
        small = [info for info in infos if info.file_size < 1 << 20]
        work += [(info.file_size, one, path, info) for info in large]
        work.append((sum(info.file_size for info in small), many, path, small))
    work.sort(key=lambda item: -item[0])
    with ThreadPoolExecutor(CORES) as threads:
        list(threads.map(lambda item: item[1](*item[2:]), work))


if __name__ == "__main__":
    sys.exit(main())
