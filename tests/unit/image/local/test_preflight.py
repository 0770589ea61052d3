"""The trial of the local engine, on this machine's real kernel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envbuild.errors import EngineError
from envbuild.image.local.preflight import try_engine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root, or subordinate ids"),
]


def test_root_may_make_private_roots_and_nothing_of_them_stays(tmp_path: Path):
    assert try_engine(tmp_path / "cache", os.environ) == "works here, as root"
    assert list((tmp_path / "cache" / "roots").iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "cache").write_text("")

    with pytest.raises(EngineError) as caught:
        try_engine(tmp_path / "cache", os.environ)

    assert caught.value.message == f"{tmp_path / 'cache' / 'roots'}: not a directory"


def test_without_the_right_to_mount_the_program_says_what_is_needed(tmp_path: Path):
    """Root of a container that may not mount has every id, and still no private roots."""
    program = (sys.executable, "-P", "-m", "envbuild.image.local.preflight", tmp_path)
    tried = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", *program],
        capture_output=True,
        text=True,
        check=False,
    )

    said = json.loads(tried.stdout)
    assert tried.returncode == 1
    assert said["message"] == "no private root can be made on this machine"
    assert "--engine docker" in said["hint"]
