"""Builds this folder's wheel, byte for byte the same on every machine; a build backend (PEP 517), too.

Nothing is compressed (releases of zlib differ), names are sorted, times and modes fixed.  Needs Python 3.11.
"""

import base64
import hashlib
import io
import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGE = "envbuild_runtime"
TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that zip can say."""

MODE = 0o100644
_VERSION = re.compile(r'^__version__ = "(?P<version>[0-9]+\.[0-9]+\.[0-9]+)"$', re.MULTILINE)


def make_wheel() -> tuple[str, bytes]:
    """Return the file name of the wheel and its bytes.

    :raises ValueError: when the source has no version, or a file that is no text of it.
    """
    project = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))["project"]
    version = source_version()
    distribution = f"{PACKAGE}-{version}"
    information = f"{distribution}.dist-info"
    files = _package_files()
    files[f"{information}/METADATA"] = _metadata(project, version).encode()
    files[f"{information}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: envbuild\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{information}/entry_points.txt"] = _entry_points(project).encode()
    files[f"{information}/licenses/LICENSE"] = (HERE / "LICENSE").read_bytes()
    record = f"{information}/RECORD"
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in sorted(files.items())]
    content = "".join(f"{line}\n" for line in [*lines, f"{record},,"]).encode()
    return f"{distribution}-py3-none-any.whl", _zip([*sorted(files.items()), (record, content)])


def source_version() -> str:
    """Return the version that the source says.  :raises ValueError: when it says none."""
    found = _VERSION.search((HERE / PACKAGE / "version.py").read_text("utf-8"))
    if found is None:
        raise ValueError("version.py says no version")
    return found["version"]


def build_wheel(
    wheel_directory: str,
    config_settings: "dict[str, Any] | None" = None,
    metadata_directory: "str | None" = None,
) -> str:
    """Write the wheel into a folder and return its name (PEP 517)."""
    del config_settings, metadata_directory
    name, content = make_wheel()
    (Path(wheel_directory) / name).write_bytes(content)
    return name


def build_sdist(sdist_directory: str, config_settings: "dict[str, Any] | None" = None) -> str:
    """Refuse: there is a wheel for every machine (PEP 517)."""
    del sdist_directory, config_settings
    raise NotImplementedError("envbuild-runtime is a wheel alone")


def _package_files() -> dict[str, bytes]:
    found = {}
    for path in sorted((HERE / PACKAGE).rglob("*")):
        if "__pycache__" in path.parts or path.is_dir():
            continue
        if path.suffix != ".py" and path.name != "py.typed":
            raise ValueError(f"{path.name} does not belong into the package")
        found[path.relative_to(HERE).as_posix()] = path.read_bytes()
    return found


def _metadata(project: dict[str, Any], version: str) -> str:
    head = [
        ("Metadata-Version", "2.4"),
        ("Name", project["name"]),
        ("Version", version),
        ("Summary", project["description"]),
        ("Keywords", ",".join(project["keywords"])),
        ("License-Expression", project["license"]),
        ("License-File", "LICENSE"),
        *(("Classifier", classifier) for classifier in project["classifiers"]),
        ("Requires-Python", project["requires-python"]),
        ("Description-Content-Type", "text/markdown"),
    ]
    readme = (HERE / project["readme"]).read_text("utf-8")
    return "".join(f"{name}: {value}\n" for name, value in head) + f"\n{readme}"


def _entry_points(project: dict[str, Any]) -> str:
    groups = []
    for group, points in sorted(project["entry-points"].items()):
        groups.append(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in sorted(points.items()))
        )
    return "\n".join(groups)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zip(files: "list[tuple[str, bytes]]") -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, TIME)
            entry.create_system = 3
            entry.external_attr = MODE << 16
            archive.writestr(entry, content)
    return whole.getvalue()
