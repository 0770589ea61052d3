"""The program, and examples of its pages, as processes of their own in a project's folder."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.rig.paths import CHECKOUT

PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def envbuild(
    *arguments: str,
    folder: Path,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    umask: int = -1,
) -> "subprocess.CompletedProcess[str]":
    """Run envbuild; with ``check`` the test fails with what it said when it does."""
    return _python(
        "-m", "envbuild", *arguments, folder=folder, check=check, environment=environment, umask=umask
    )


def python_block(
    page: Path,
    position: int,
    *,
    folder: Path,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run one of the Python examples of a page as it stands there; see `envbuild`."""
    program = PYTHON_BLOCK.findall(page.read_text("utf-8"))[position]
    return _python("-c", program, folder=folder, check=check, environment=environment)


def _python(
    *arguments: str, folder: Path, check: bool, environment: Mapping[str, str] | None, umask: int = -1
) -> "subprocess.CompletedProcess[str]":
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
        timeout=600,
    )
    if check and result.returncode != 0:
        pytest.fail(f"{' '.join(arguments[1:])} exited {result.returncode}\n{result.stderr}")
    return result
