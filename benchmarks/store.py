"""How fast artifacts are fetched and verified, as ratios to pip, uv and openssl in the same run.

    python -m benchmarks.store [--rounds 3] [--json]

Needs the Python index.  Everything is done in a temporary folder, nothing is taken from a cache; the programs
take turns, and the median of the rounds counts.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import read_client_configuration
from envbuild.remote.index.page import IndexFile
from envbuild.store.artifact import Artifact
from envbuild.store.fetch import fetch_all
from envbuild.store.locators import IndexLocator
from envbuild.store.store import Store
from tests.rig.locks import wheel

REQUIREMENTS = ("jupyterlab", "pandas", "scikit-learn", "matplotlib", "statsmodels", "lightgbm")
WHEELS = 80


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="envbuild-bench-") as name:
        figures = measure(Path(name), rounds=arguments.rounds)
    if arguments.json:
        print(json.dumps(figures, indent=2, sort_keys=True))
    else:
        for key, value in figures.items():
            print(f"{key:32} {value:.3g}")
    return 0


def measure(folder: Path, *, rounds: int) -> dict[str, float]:
    files = chosen_files(folder)
    requirements = folder / "locked.txt"
    requirements.write_text(
        "".join(
            f"{name}=={parse_wheel_filename(file.filename)[1]} --hash=sha256:{file.sha256}\n"
            for name, file in files.items()
        )
    )
    size = sum(file.size or 0 for file in files.values())
    times: dict[str, list[float]] = {"envbuild": [], "pip download": [], "uv pip install": []}
    for number in range(rounds):
        below = folder / str(number)
        for program, work in (
            ("envbuild", partial(fetch_with_envbuild, files, below / "envbuild")),
            ("pip download", partial(fetch_with_pip, requirements, below / "pip")),
            ("uv pip install", partial(install_with_uv, requirements, below / "uv")),
        ):
            times[program].append(seconds(work))
    store = Store(folder / "0" / "envbuild")
    stored = store.digests()
    verifying = [seconds(lambda: store.damaged(stored)) for _ in range(rounds)]
    paths = [str(store.place_of(sha256)) for sha256 in stored]
    summing = [
        seconds(
            lambda: subprocess.run(
                ["openssl", "dgst", "-sha256", *paths], check=True, stdout=subprocess.DEVNULL
            )
        )
        for _ in range(rounds)
    ]
    artifacts = planned(files, IndexLocator(no_index))
    nothing = [seconds(lambda: fetch_all(artifacts, store=store)) for _ in range(rounds)]
    middle = {program: statistics.median(values) for program, values in times.items()}
    return {
        "wheels": len(files),
        "megabytes": size / 1e6,
        "fetch, s": middle["envbuild"],
        "pip download, s": middle["pip download"],
        "uv pip install, s": middle["uv pip install"],
        "fetch / pip download": middle["envbuild"] / middle["pip download"],
        "fetch / uv pip install": middle["envbuild"] / middle["uv pip install"],
        "fetch of nothing, s": statistics.median(nothing),
        "verify, MB/s": size / 1e6 / statistics.median(verifying),
        "verify / openssl dgst": statistics.median(verifying) / statistics.median(summing),
    }


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def no_index() -> PythonIndex:
    raise AssertionError("a fetch of nothing asked the index")


def chosen_files(folder: Path) -> dict[str, IndexFile]:
    """Return the wheels of this machine that the requirements resolve to, by project."""
    done = subprocess.run(
        [
            "uv",
            "pip",
            "compile",
            "--no-header",
            "--no-annotate",
            "--only-binary=:all:",
            "--python-version",
            f"{sys.version_info.major}.{sys.version_info.minor}",
            "-",
        ],
        input="\n".join(REQUIREMENTS),
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)", done.stdout, re.MULTILINE)
    index = PythonIndex(read_client_configuration())
    index.prefetch(name for name, _ in pins)
    supported = {tag: rank for rank, tag in enumerate(sys_tags())}
    found: dict[str, IndexFile] = {}
    for name, version in pins:
        fitting = []
        for file in index.page(name).files(version):
            if file.filename.endswith(".whl") and file.sha256 and file.size:
                ranks = [supported[tag] for tag in parse_wheel_filename(file.filename)[3] if tag in supported]
                if ranks:
                    fitting.append((min(ranks), file))
        found[name] = min(fitting, key=lambda item: item[0])[1]
    index.close()
    return dict(list(found.items())[:WHEELS])


def environment(folder: Path) -> dict[str, str]:
    """Return this environment without the wheels and caches that this machine's pip and uv would use."""
    kept = {key: value for key, value in os.environ.items() if key not in {"PIP_FIND_LINKS", "UV_FIND_LINKS"}}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "UV_CACHE_DIR": str(folder / "uv-cache")}


def planned(files: dict[str, IndexFile], locator: IndexLocator) -> list[Artifact]:
    return [
        Artifact(
            kind="wheel",
            name=name,
            filename=file.filename,
            sha256=file.sha256 or "",
            size=file.size or 0,
            locate=partial(locator.locate, wheel(name).model_copy(update={"file": file.filename})),
        )
        for name, file in files.items()
    ]


def fetch_with_envbuild(files: dict[str, IndexFile], folder: Path) -> None:
    """Project pages are asked for anew: a build starts from the lock alone."""
    locator = IndexLocator(PythonIndex.of_this_machine)
    fetch_all(planned(files, locator), store=Store(folder))
    locator.close()


def fetch_with_pip(requirements: Path, folder: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-cache-dir",
            "--only-binary=:all:",
            "--require-hashes",
            "-r",
            str(requirements),
            "-d",
            str(folder),
        ],
        env=environment(folder),
        check=True,
    )


def install_with_uv(requirements: Path, folder: Path) -> None:
    """Uv downloads only to install: unpacking, while the next wheel comes, is part of its time."""
    subprocess.run(
        [
            "uv",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "-r",
            str(requirements),
            "--target",
            str(folder / "target"),
            "--python",
            sys.executable,
        ],
        env=environment(folder),
        check=True,
    )


if __name__ == "__main__":
    sys.exit(main())
