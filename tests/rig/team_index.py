"""The index of a team: three small packages that need each other, and the wheel that installs wheels."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.index import PackageIndex, make_wheel
from tests.rig.paths import cache_folder, locked


@contextmanager
def team_index(folder: Path) -> Iterator[PackageIndex]:
    """Serve ``numeric``, ``tablekit``, which needs it, and ``plotting``, which needs that."""
    folder.mkdir(parents=True, exist_ok=True)
    make_wheel(folder, "numeric", "2.0")
    make_wheel(folder, "tablekit", "1.0", requires=("numeric>=2",))
    make_wheel(folder, "plotting", "1.0", requires=("tablekit",))
    for wheel in _installers():
        (folder / wheel.name).write_bytes(wheel.read_bytes())
    with PackageIndex(folder) as index:
        yield index


def publish(index: PackageIndex, name: str, version: str, *requires: str) -> None:
    """Publish a version of a package."""
    make_wheel(index.folder, name, version, requires=requires)


def _installers() -> list[Path]:
    """Return the wheel of `installer`, downloaded at the first call on a machine."""
    kept = cache_folder() / "installer"
    with locked(kept.name):
        if not list(kept.glob("*.whl")):
            words = ("-m", "pip", "download", "--quiet", "--no-deps", "--dest", kept, "installer")
            subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=120)
    return list(kept.glob("*.whl"))
