import subprocess
import sys

from tests.rig.paths import CHECKOUT

LOADED = (
    "import sys, envbuild.image.local.engine as e; print(*sorted({'requests', 'docker'} & {*sys.modules}))"
)


def test_what_runs_a_command_waits_for_no_http_client():
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )

    assert loaded.stdout == "\n"
