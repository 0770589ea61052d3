import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from envbuild.errors import IntegrityError
from envbuild.formats import wheel_archive
from envbuild.verify.files.artifact_trees import wheel_tree
from envbuild.verify.files.expected_files import ExpectedEntry, Tree

SITE = "lib/python{}/site-packages"
ENTRY_POINTS = b"[console_scripts]\ndemo = demo.cli:main\n[other]\nx = y:z\n"
EVERYTHING = {
    "demo/__init__.py": b"VALUE = 1\n",
    "demo/tool": b"#!/bin/sh\n",
    "demo/__pycache__/__init__.cpython-311.pyc": b"not installed",
    "demo-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
    "demo-1.0.dist-info/INSTALLER": b"someone else\n",
    "demo-1.0.data/scripts/say": b"#!python\nprint('hello')\n",
    "demo-1.0.data/scripts/gui": b"#!pythonw -x\nprint('hello')\n",
    "demo-1.0.data/scripts/shell": b"#!/bin/sh\necho hello\n",
    "demo-1.0.data/data/share/demo/data.txt": b"data",
    "demo-1.0.data/data/lib64/x.txt": b"beside lib",
    "demo-1.0.data/headers/demo.h": b"#define DEMO 1\n",
    "demo-1.0.data/platlib/demo/native.so": b"\x7fELF",
}
EXECUTABLE = ("demo/tool", "demo-1.0.data/scripts/say", "demo-1.0.data/scripts/shell")


def tree(path: Path, *, python: str = "3.11", file: str | None = None) -> Tree:
    return wheel_tree(path, file=file or path.name, python=python, prefix="/opt/venv")


def test_a_record_of_absurd_size_is_refused(
    make_wheel: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_archive, "LARGEST_DIST_INFO", 1000)
    with pytest.raises(IntegrityError, match="RECORD has more than 1000 bytes, an absurd amount"):
        tree(make_wheel("demo", {f"{number}.py": b"" for number in range(20)}))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_kind_of_file_has_its_place(make_wheel: Callable[..., Path]) -> None:
    files = tree(make_wheel("demo", EVERYTHING, executable=EXECUTABLE))
    site = SITE.format("3.11")
    assert {path: oct(entry.mode) for path, entry in files.items()} == {
        "bin/demo": "0o755",
        "bin/gui": "0o644",
        "bin/say": "0o755",
        "bin/shell": "0o755",
        "include/site/python3.11/demo/demo.h": "0o644",
        "lib/x.txt": "0o644",
        f"{site}/demo-1.0.dist-info/INSTALLER": "0o644",
        f"{site}/demo-1.0.dist-info/METADATA": "0o644",
        f"{site}/demo-1.0.dist-info/RECORD": "0o644",
        f"{site}/demo-1.0.dist-info/WHEEL": "0o644",
        f"{site}/demo-1.0.dist-info/entry_points.txt": "0o644",
        f"{site}/demo/__init__.py": "0o644",
        f"{site}/demo/native.so": "0o644",
        f"{site}/demo/tool": "0o755",
        "share/demo/data.txt": "0o644",
    }
    assert list(files) == sorted(files)
    assert files[f"{site}/demo/__init__.py"] == ExpectedEntry("f", 0o644, sha256(b"VALUE = 1\n"))
    assert files["bin/say"].content == sha256(b"#!/opt/venv/bin/python\nprint('hello')\n")
    assert files["bin/gui"].content == sha256(b"#!/opt/venv/bin/python\nprint('hello')\n")
    assert files["bin/shell"].content == sha256(EVERYTHING["demo-1.0.data/scripts/shell"])
    assert files[f"{site}/demo-1.0.dist-info/INSTALLER"].content == sha256(b"envbuild\n")


def test_what_is_expected_is_what_a_build_installs(
    make_wheel: Callable[..., Path],
    install: Callable[..., subprocess.CompletedProcess[str]],
    tree_on_disk: Callable[[Path], dict[str, tuple[int, str]]],
    tmp_path: Path,
    running_python: str,
) -> None:
    everything = make_wheel("demo", EVERYTHING, executable=EXECUTABLE)
    shared = make_wheel("zoo", {"demo/__init__.py": b"VALUE = 1\n", "zoo.py": b"x"}, executable=("zoo.py",))
    # executable in one, not in the other
    again = make_wheel("ape", {"zoo.py": b"x"})
    done = install()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    expected = {
        path: (entry.mode, entry.content)
        for wheel in (again, everything, shared)
        for path, entry in tree(wheel, python=running_python).items()
    }
    assert tree_on_disk(tmp_path / "root" / "opt" / "venv") == expected


def test_a_stored_wheel_may_have_any_name(make_wheel: Callable[..., Path], tmp_path: Path) -> None:
    wheel = make_wheel()
    stored = tmp_path / "sha256-of-it"
    stored.write_bytes(wheel.read_bytes())
    assert tree(stored, file=wheel.name) == tree(wheel)


def test_record_is_as_installed(make_wheel: Callable[..., Path]) -> None:
    files = {"demo.py": b"x", "demo-1.0.data/scripts/say": b"#!python\n"}
    entries = tree(make_wheel("demo", files))
    assert (
        entries[f"{SITE.format('3.11')}/demo-1.0.dist-info/RECORD"].content
        != tree(make_wheel("demo", {**files, "demo.py": b"y"}))[
            f"{SITE.format('3.11')}/demo-1.0.dist-info/RECORD"
        ].content
    )


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"../evil.py": b""}, "../evil.py leaves its folder"),
        ({"demo-1.0.data/data/../../evil": b""}, "leaves its folder"),
        ({"demo-1.0.data/odd/x": b""}, "demo-1.0.data/odd/x is not contained in a valid .data subdirectory."),
        ({"demo.py": b"1", "demo-1.0.data/purelib/demo.py": b"2"}, "demo.py is in it twice"),
    ],
)
def test_a_wheel_that_cannot_be_installed_is_refused(
    make_wheel: Callable[..., Path], files: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(IntegrityError) as caught:
        tree(make_wheel("demo", files))
    assert str(caught.value).startswith("demo-1.0-py3-none-any.whl is not a wheel that can be installed: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"no zip at all", b"PK\x05\x06" + bytes(18)], ids=["empty", "text", "empty zip"]
)
def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        tree(path)
