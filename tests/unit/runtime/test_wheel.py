"""The wheel of envbuild-runtime: made of the source alone, byte for byte, and frozen once it was released."""

import ast
import base64
import configparser
import csv
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import build_wheel
import pytest
from packaging.metadata import Metadata
from packaging.utils import parse_wheel_filename

from envbuild.runtime.carried import newest_wheel, read_wheel
from tests.rig.paths import CHECKOUT

REBUILD = "runtime/ has changed: scripts/runtime-wheel builds the wheel anew"
SOURCES = sorted((CHECKOUT / "runtime" / "envbuild_runtime").rglob("*.py"))

Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def made() -> tuple[str, bytes]:
    return build_wheel.make_wheel()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what the script needs."""
    shutil.copytree(CHECKOUT / "runtime", tmp_path / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        CHECKOUT / "envbuild" / "runtime" / "wheels", tmp_path / "envbuild" / "runtime" / "wheels"
    )
    (tmp_path / "scripts").mkdir()
    shutil.copy2(CHECKOUT / "scripts" / "runtime-wheel", tmp_path / "scripts")
    return tmp_path


@pytest.fixture
def script(checkout: Path) -> Script:
    """Return a function that runs scripts/runtime-wheel of the copy."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, checkout / "scripts" / "runtime-wheel", *arguments],
            cwd="/",
            env={**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"},
            umask=0o077,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def append(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)


def raise_version(checkout: Path, version: str) -> None:
    path = checkout / "runtime" / "envbuild_runtime" / "version.py"
    path.write_text(f'"""The release of this package."""\n\n__version__ = "{version}"\n')


def wheels_of(checkout: Path) -> list[str]:
    return sorted(path.name for path in (checkout / "envbuild" / "runtime" / "wheels").glob("*.whl"))


def test_the_carried_wheel_is_what_the_source_gives(made: tuple[str, bytes]) -> None:
    name, content = made

    assert name == newest_wheel().file, REBUILD
    assert content == read_wheel(name), REBUILD


def test_as_a_build_backend_it_gives_the_same(made: tuple[str, bytes], tmp_path: Path) -> None:
    name = build_wheel.build_wheel(str(tmp_path))

    assert (name, (tmp_path / name).read_bytes()) == made
    with pytest.raises(NotImplementedError, match="a wheel alone"):
        build_wheel.build_sdist(str(tmp_path))


def test_its_record_is_true(made: tuple[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(made[1])) as archive:
        names = archive.namelist()
        (record,) = (name for name in names if name.endswith("RECORD"))
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        for name, digest, size in rows[:-1]:
            content = archive.read(name)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, int(size)) == (f"sha256={wanted}", len(content))
    assert [row[0] for row in rows] == names
    assert rows[-1] == [record, "", ""]


def test_nothing_in_it_is_of_this_machine(made: tuple[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(made[1])) as archive:
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.compress_type == zipfile.ZIP_STORED
            assert stat.S_IMODE(entry.external_attr >> 16) == 0o644
            assert entry.create_system == 3
            assert not [part for part in entry.filename.split("/") if part in {"", "..", "__pycache__"}]


def test_metadata_are_valid_and_need_nothing(made: tuple[str, bytes]) -> None:
    name, version, _, tags = parse_wheel_filename(made[0])
    with zipfile.ZipFile(io.BytesIO(made[1])) as archive:
        folder = f"envbuild_runtime-{version}.dist-info"
        metadata = Metadata.from_email(archive.read(f"{folder}/METADATA"))
        points = configparser.ConfigParser()
        points.read_string(archive.read(f"{folder}/entry_points.txt").decode())
        licence = archive.read(f"{folder}/licenses/LICENSE")

    assert [str(tag) for tag in tags] == ["py3-none-any"]
    assert (metadata.name, metadata.version) == (name, version)
    assert metadata.requires_dist is None
    assert str(metadata.requires_python) == ">=3.8"
    assert dict(points["mlflow.run_context_provider"]) == {
        "envbuild": "envbuild_runtime.mlflow_context:EnvbuildRunContext"
    }
    assert licence == (CHECKOUT / "LICENSE").read_bytes()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_source_is_python_3_8(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))

    # annotations are text everywhere: `X | None` and `list[X]` are not evaluated
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    annotated = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AnnAssign))]
    assert future or not annotated


def test_what_is_built_already_is_left_alone(checkout: Path, script: Script) -> None:
    done = script()

    assert (done.returncode, done.stdout.endswith(" (as before)\n")) == (0, True)
    assert script("--check").returncode == 0


def test_a_changed_source_wants_another_build(checkout: Path, script: Script) -> None:
    append(checkout / "runtime" / "envbuild_runtime" / "guard.py", "# changed\n")

    refused = script("--check")
    assert (refused.returncode, refused.stderr.endswith(": scripts/runtime-wheel\n")) == (1, True)
    assert script().returncode == 0
    assert script("--check").returncode == 0


def test_a_version_that_was_never_released_is_replaced(checkout: Path, script: Script) -> None:
    raise_version(checkout, "7.0.0")

    assert script().returncode == 0
    assert "envbuild_runtime-7.0.0-py3-none-any.whl" in wheels_of(checkout)


def test_a_released_version_stays_and_never_changes(checkout: Path, script: Script) -> None:
    raise_version(checkout, "7.0.0")
    assert script("--release").returncode == 0
    released = wheels_of(checkout)[-1]
    content = (checkout / "envbuild" / "runtime" / "wheels" / released).read_bytes()

    append(checkout / "runtime" / "envbuild_runtime" / "guard.py", "# changed\n")
    refused = script()
    assert refused.returncode == 1
    assert "was released, and runtime/ has changed: raise __version__" in refused.stderr

    raise_version(checkout, "7.0.1")
    assert script().returncode == 0
    assert wheels_of(checkout)[-2:] == [released, "envbuild_runtime-7.0.1-py3-none-any.whl"]
    assert (checkout / "envbuild" / "runtime" / "wheels" / released).read_bytes() == content


def test_a_stray_file_does_not_slip_in(checkout: Path, script: Script) -> None:
    (checkout / "runtime" / "envbuild_runtime" / "notes.txt").write_text("mine")

    assert "notes.txt does not belong into the package" in script().stderr
