"""The program as a process of its own, in a project's folder."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.rig.paths import CHECKOUT


def envbuild(
    *arguments: str,
    folder: Path,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    umask: int = -1,
) -> "subprocess.CompletedProcess[str]":
    """Run envbuild; with ``check`` the test fails with what it said when it does."""
    result = subprocess.run(
        [sys.executable, "-m", "envbuild", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
        timeout=600,
    )
    if check and result.returncode != 0:
        pytest.fail(f"envbuild {' '.join(arguments)} exited {result.returncode}\n{result.stderr}")
    return result
