"""Small real wheels, and layers made of them."""

import base64
import csv
import hashlib
import io
import sys
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from envbuild.digest import sha256_file
from envbuild.formats.compression import Compression, codec_of
from envbuild.image.engine import ContainerOutcome
from envbuild.image.local.layers.bytecode import COMPILE_ENVIRONMENT, CompilingPython
from envbuild.image.local.layers.file_conflicts import WheelTreeCache
from envbuild.image.local.layers.store import LayerStore
from envbuild.image.local.layers.wheel_layer import WheelLayerBuilder
from envbuild.lock.model import Wheel
from envbuild.process import run
from tests.rig.locks import wheel as locked_wheel

VERSION = ".".join(map(str, sys.version_info[:3]))
"""Of the Python that runs the tests."""


def write_wheel(
    folder: Path,
    name: str = "demo",
    files: Mapping[str, bytes] | None = None,
    *,
    version: str = "1.0",
    executable: Collection[str] = (),
    record: Mapping[str, str] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """Write a wheel and return its path; ``record`` has hashes RECORD is to state instead of the true."""
    info = f"{name}-{version}.dist-info"
    members = {
        **(files if files is not None else {f"{name}/__init__.py": b"VALUE = 1\n"}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    for member, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        writer.writerow((member, (record or {}).get(member, f"sha256={digest}"), len(data)))
    writer.writerow((f"{info}/RECORD", "", ""))
    path = folder / f"{name}-{version}-py3-none-any.whl"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in {**members, f"{info}/RECORD": lines.getvalue().encode()}.items():
            head = zipfile.ZipInfo(member)
            head.external_attr = (0o100755 if member in executable else 0o100644) << 16
            head.compress_type = compression
            archive.writestr(head, data)
    return path


def locked(path: Path, *, size: int | None = None) -> Wheel:
    """Return a wheel as a lock has it; with ``size``, said to be of that size, to be planned so."""
    name, version, *_ = path.name.split("-")
    return locked_wheel(name, version, size=size or path.stat().st_size).model_copy(
        update={"file": path.name, "sha256": sha256_file(path)}
    )


def layer_builder(
    folder: Path,
    cache: Path,
    *,
    python: CompilingPython | None = None,
    version: str = VERSION,
    codec: Compression = "zstd",
) -> WheelLayerBuilder:
    """Return a builder for the wheels in ``folder``."""
    return WheelLayerBuilder(
        cache=LayerStore(cache),
        trees=WheelTreeCache(cache),
        open_wheel=lambda wheel: (folder / wheel.file).open("rb"),
        codec=codec_of(codec),
        prefix="/opt/venv",
        python=version,
        compiler=python,
    )


def this_python() -> CompilingPython:
    """Return the Python that runs the tests, as a target's interpreter."""
    return CompilingPython(VERSION, run_this_python)


def run_this_python(arguments: Sequence[str], sources: bytes) -> ContainerOutcome:
    """Run this Python as a private root runs the target's."""
    result = run([sys.executable, *arguments], environment=COMPILE_ENVIRONMENT, standard_input=sources)
    return ContainerOutcome(
        exit_status=result.exit_status, stdout=result.stdout_bytes, stderr=result.stderr.encode()
    )
