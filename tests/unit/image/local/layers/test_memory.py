"""What a layer costs in memory does not follow the size of what is in it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.rig.paths import CHECKOUT
from tests.rig.wheels import write_wheel

pytestmark = pytest.mark.slow

SIZE = 200_000_000

PEAK = """
import resource, sys
from pathlib import Path
from envbuild.render.layers import WheelLayer
from tests.rig.wheels import locked, layer_builder

wheel = Path(sys.argv[1])
builder = layer_builder(wheel.parent, Path(sys.argv[2]))
if len(sys.argv) > 3:
    layer = builder.make(WheelLayer((locked(wheel),)))
    assert layer.unpacked > int(sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def peak(*arguments: object) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
    )
    return int(done.stdout)


def test_a_large_file_passes_through_in_pieces(tmp_path: Path) -> None:
    data = (b"some text that packs, " * 97)[:2000] * (SIZE // 2000)
    wheel = write_wheel(tmp_path / "wheels", "demo", {"large.bin": data}, compression=zipfile.ZIP_DEFLATED)
    idle = peak(wheel, tmp_path / "cache")
    assert peak(wheel, tmp_path / "cache", SIZE) - idle < 60_000_000
