"""The recipe's conda script by itself: what it lays down, twice, and who owns it."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from envbuild.digest import sha256_bytes
from envbuild.formats import bytecode
from envbuild.render.templates import template_folder
from tests.rig.conda import PYTHON_MINOR, PYTHON_VERSION, standard_channel

pytestmark = pytest.mark.slow

EPOCH = 1_790_000_000
NAMES = ("python", "frames", "arrays-1.26", "greetings", "greet-", "indexed", "old-format")


@pytest.fixture
def place():
    """Return a folder with a path short enough to replace the prefix Python was built for."""
    folder = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def context(folder, prefix):
    """Write what a build binds: scripts, lock, plan and packages."""
    folder.mkdir()
    scripts = template_folder() / "recipe"
    for path in (scripts / "conda.py", scripts / "compile.py", Path(bytecode.__file__)):
        shutil.copy(path, folder)
    (folder / "packages").mkdir()
    packages = []
    for path in sorted(standard_channel().folder.glob("*/*")):
        if not path.name.startswith(NAMES) or path.suffix == ".json":
            continue
        shutil.copy(path, folder / "packages")
        subdir = json.loads((path.parent / "repodata.json").read_text())
        record = (subdir["packages"] | subdir["packages.conda"])[path.name]
        packages.append(
            {
                "name": record["name"],
                "version": record["version"],
                "build": record["build"],
                "build-number": record["build_number"],
                "channel": "conda-forge",
                "subdir": record["subdir"],
                "file": path.name,
                "size": record["size"],
                "sha256": record["sha256"],
                "timestamp": "2025-10-09T08:53:20Z",
                "noarch": record.get("noarch"),
                "depends": record["depends"],
                "constrains": [],
                "license": record.get("license"),
                "site-packages": None,
            }
        )
    interpreter = {"path": f"{prefix}/bin/python{PYTHON_MINOR}", "version": PYTHON_VERSION}
    lock = {"epoch": EPOCH, "interpreter": interpreter, "conda": {"packages": packages}}
    (folder / "lock.json").write_text(json.dumps(lock))
    keys = [f"conda-forge/{item['subdir']}/{item['file']}" for item in packages]
    python = [key for key in keys if "/python-" in key]
    plan = {"layers": [python, [key for key in keys if key not in python]], "link-scripts": True}
    (folder / "plan.json").write_text(json.dumps(plan))


def laid_down(folder, prefix, layers):
    shutil.rmtree(prefix, ignore_errors=True)
    subprocess.run(
        [
            sys.executable, "-I", "-B", str(folder / "conda.py"),
            "--tools", sysconfig.get_path("purelib"),
            "--prefix", str(prefix),
            "--packages", str(folder / "packages"),
            "--lock", str(folder / "lock.json"),
            "--plan", str(folder / "plan.json"),
            "--layers", str(layers),
        ],
        check=True,
    )  # fmt: skip
    tree = {}
    for path in sorted(layers.rglob("*")):
        status = path.lstat()
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
        content = {"link": lambda p: str(p.readlink()), "folder": lambda _: ""}.get(
            kind, lambda p: sha256_bytes(p.read_bytes())
        )(path)
        name = str(path.relative_to(layers)).replace(str(prefix).lstrip("/"), "PREFIX", 1)
        tree[name] = (kind, oct(status.st_mode), int(status.st_mtime), content)
    return tree


def test_the_same_packages_give_the_same_layers_and_nothing_of_the_build(place):
    prefix = place / "p"
    context(place / "context", prefix)
    first = laid_down(place / "context", prefix, place / "one")
    second = laid_down(place / "context", prefix, place / "two")
    assert first == second

    site = f"lib/python{PYTHON_MINOR}/site-packages"
    tag = sys.implementation.cache_tag
    assert first[f"1/PREFIX/bin/python{PYTHON_MINOR}"][1] == "0o100755"
    assert f"1/PREFIX/lib/python{PYTHON_MINOR}/json/__pycache__/decoder.{tag}.pyc" in first
    assert f"2/PREFIX/{site}/frames/__pycache__/__init__.{tag}.pyc" in first
    # what a link script wrote is nobody's: in the last layer
    assert "2/PREFIX/share/indexed.index" in first
    assert not [name for name in first if "CACHEDIR" in name or "__pycache__/os." in name]

    record = json.loads((place / f"two/2{prefix}/conda-meta/greetings-2.1-pyh1_0.json").read_text())
    assert record["channel"] == "conda-forge"
    assert record["url"].endswith("/conda-forge/noarch/greetings-2.1-pyh1_0.conda")
    assert str(place) not in json.dumps(record)
    assert f"{site}/greetings/__pycache__/__init__.{tag}.pyc" in record["files"]
    times = {entry[2] for name, entry in first.items() if entry[0] == "file" and "greet" in name}
    assert times == {1_760_000_000}

    header = (
        place / f"two/1{prefix}/lib/python{PYTHON_MINOR}/json/__pycache__/decoder.{tag}.pyc"
    ).read_bytes()[4:8]
    assert header == (0b01).to_bytes(4, "little")
