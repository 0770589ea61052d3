"""Locking for another machine and another Python than those at hand: real packages, nothing of it runs."""

import gzip
import os
import platform
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from tests.rig.bases import Base, Layer, digest_of, file_entry, folder_entry, push_base, write_layer
from tests.rig.paths import CHECKOUT

pytestmark = [pytest.mark.network, pytest.mark.slow]

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: arm64
Version: 2.36-9+deb12u13
"""
RELEASE = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian"\n'


def arm_python(folder: Path) -> Base:
    """Return a base that only looks like one: what a resolution reads of an image, and nothing that runs."""
    program = b"\x7fELF" + bytes(60) + b"\x003.12.7\x00"
    files = {
        "etc/os-release": RELEASE.encode(),
        "usr/local/bin/python3.12": program,
        "var/lib/dpkg/status": STATUS.encode(),
    }
    parents = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}
    path = folder / "layer.tar.gz"
    write_layer(
        path,
        [*map(folder_entry, sorted(parents)), *(file_entry(name, data) for name, data in files.items())],
    )
    content = path.read_bytes()
    layer = Layer(
        path=path,
        digest=digest_of(content),
        diff_id=digest_of(gzip.decompress(content)),
        size=len(content),
    )
    return Base(layers=(layer,), architecture="arm64", python_version="3.12.7", command=("python3",))


def test_a_lock_for_arm64_and_python_312_holds_nothing_of_this_machine(registry, tmp_path):
    assert (platform.machine(), sys.version_info[:2]) != ("aarch64", (3, 12))
    image = push_base(arm_python(tmp_path), registry, "library/python", "3.12-arm", architectures=("arm64",))
    (tmp_path / "envbuild.toml").write_text(
        f"""
        name = "elsewhere"
        python = "3.12"
        platforms = ["linux/arm64"]
        base.image = "{image.reference}"
        pip.packages = ["torch==2.14.1", "pandas"]
        [gpu]
        """
    )
    ran = subprocess.run(
        [sys.executable, "-m", "envbuild", "lock"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    lock = tomllib.loads((tmp_path / "envbuild.lock").read_text())
    (target,) = lock["targets"]
    assert (target["platform"], target["interpreter"]["version"]) == ("linux/arm64", "3.12.7")
    tags = {file: parse_wheel_filename(file)[3] for file in target["wheels"]}
    machines = {_machine(tag) for found in tags.values() for tag in found}
    assert machines == {"aarch64", "any"}
    compiled = {name: found for name, found in tags.items() if {tag.abi for tag in found} - {"none", "abi3"}}
    assert len(compiled) >= 3
    assert {tag.interpreter for found in compiled.values() for tag in found} == {"cp312"}
    # torch brings CUDA to this machine type too, and is derived by its markers, not by this machine's
    assert target["gpu"]["runtime"] == "13.0"
    assert {item["path"].split("/")[1] for item in target["gpu"]["libraries"]} == {"python3.12"}


def _machine(tag: Tag) -> str:
    return next((name for name in ("aarch64", "x86_64") if tag.platform.endswith(name)), tag.platform)
