"""Locking conda packages: a small channel, and one of a hundred thousand records.

Run as ``python -m benchmarks.conda``.  Needs nothing but this checkout: channels are made here and served on
the loopback interface.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from envbuild.remote.channels import ChannelAddress
from envbuild.resolve.conda.condalock import CondaQuestion, solve
from tests.rig.conda import SUBDIR, Channel, ChannelServer, standard_channel

VIRTUAL = {"__archspec": "1 x86_64", "__glibc": "2.36", "__linux": "4.18", "__unix": "0"}


def synthetic(folder: Path, records: int) -> Channel:
    """Write repodata of so many records: packages in ten versions each, which depend on the one before."""
    packages = {}
    for number in range(records):
        name, version = f"package-{number // 10:05}", f"1.{number % 10}"
        depends = [f"package-{number // 10 - 1:05} >=1.{number % 10 // 2}"] if number >= 10 else []  # noqa: PLR2004
        packages[f"{name}-{version}-h1_0.conda"] = {
            "name": name,
            "version": version,
            "build": "h1_0",
            "build_number": 0,
            "depends": depends if number // 10 % 50 else [],
            "md5": f"{number:032x}",
            "sha256": f"{number:064x}",
            "size": 1000,
            "subdir": SUBDIR,
            "timestamp": 1_760_000_000_000,
        }
    for subdir, content in ((SUBDIR, packages), ("noarch", {})):
        (folder / subdir).mkdir()
        document = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": content}
        (folder / subdir / "repodata.json").write_text(json.dumps(document))
    return Channel(folder)


def timed(server: ChannelServer, specs: tuple[str, ...], cache: Path) -> tuple[float, int]:
    """Lock once; return seconds and number of packages."""
    question = CondaQuestion(
        specs=specs,
        channels=(ChannelAddress(name="bench", url=server.url),),
        subdir=SUBDIR,
        virtual_packages=VIRTUAL,
    )
    start = time.perf_counter()
    answer = solve(question, cache=cache, environment=dict(os.environ), login_file=None)
    return time.perf_counter() - start, len(answer.urls)


def measure(records: int) -> dict[str, Mapping[str, float]]:
    """Return seconds (the second run of each, bytecode and repodata kept) and the peak of memory in MB."""
    results = {}
    with tempfile.TemporaryDirectory(prefix="envbuild-bench-") as name:
        folder = Path(name)
        (folder / "large").mkdir()
        cases = {
            "small channel": (standard_channel(), ("python 3.11.*", "frames", "accel", "greet")),
            f"{records} records": (
                synthetic(folder / "large", records),
                (f"package-{records // 20 + 40:05}", f"package-{records // 10 - 5:05}"),
            ),
        }
        for case, (channel, specs) in cases.items():
            with ChannelServer(channel) as server:
                first, _ = timed(server, specs, folder / "cache")
                second, count = timed(server, specs, folder / "cache")
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            results[case] = {
                "first run, s": round(first, 2),
                "second run, s": round(second, 2),
                "packages": count,
                "peak memory of a child so far, MB": round(peak),
            }
    return results


def main() -> None:
    """Print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    json.dump(measure(parser.parse_args().records), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
