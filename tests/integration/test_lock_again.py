"""Locks that remember and begin early have the bytes of the first one: with the real archive and index."""

import os
import shutil
from pathlib import Path

import pytest

from envbuild.workflows.lock import LockOptions, lock_project
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import open_project
from tests.rig.progress import RecordedProgress

pytestmark = [pytest.mark.slow, pytest.mark.network]

SPEC = """
name = "again"
python = "3.11"

[base]
packages = "debian:bookworm"

[system]
packages = ["libgomp1"]

[pip]
packages = ["six"]

[variants.more]
system.packages = ["libgomp1", "{more}"]
pip.packages = ["six", "packaging"]
"""

EVERYTHING = LockOptions(upgrade=True)


def lock(folder: Path, cache: Path, options: LockOptions | None = None) -> bytes:
    machine = Machine(
        environment=os.environ | {"ENVBUILD_CACHE_DIR": str(cache)}, progress=RecordedProgress()
    )
    path = folder / "envbuild.lock"
    before = path.read_bytes() if path.exists() else None
    result = lock_project(open_project(folder / "envbuild.toml"), options, machine=machine)
    # an upgrade that finds nothing newer writes nothing
    assert result.written is (path.read_bytes() != before)
    return path.read_bytes()


def test_a_warm_cache_changes_no_byte(tmp_path: Path) -> None:
    spec, path = tmp_path / "envbuild.toml", tmp_path / "envbuild.lock"
    warm, cold = tmp_path / "warm", tmp_path / "cold"
    spec.write_text(SPEC.format(more="zlib1g"))
    first = lock(tmp_path, warm)

    path.unlink()
    assert lock(tmp_path, warm) == first
    assert lock(tmp_path, warm, EVERYTHING) == first
    # answers without lists: as if the lists were pruned
    shutil.rmtree(warm / "apt")
    assert lock(tmp_path, warm, EVERYTHING) == first

    spec.write_text(SPEC.format(more="jq"))
    changed = lock(tmp_path, warm)
    path.write_bytes(first)
    assert lock(tmp_path, cold) == changed
    assert changed != first
