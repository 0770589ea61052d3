import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

Install = Callable[..., subprocess.CompletedProcess[str]]
MakeWheel = Callable[..., Path]


def bytecode(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.pyc"))}


def test_bytecode_is_unchecked_and_names_files_of_the_image(
    make_wheel: MakeWheel, install: Install, tmp_path: Path, running_python: str
) -> None:
    source = b"def one():\n    return __file__\n"
    make_wheel("demo", {"demo.py": source, "broken.py": b"def (:\n", "demo-1.0.data/scripts/tool.py": b""})
    assert install().returncode == 0
    site = tmp_path / f"root/opt/venv/lib/python{running_python}/site-packages"
    (compiled,) = bytecode(tmp_path / "root").values()
    assert compiled[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(compiled[4:8], "little") == 0b01
    assert compiled[8:16] == importlib.util.source_hash(source)
    assert f"/opt/venv/lib/python{running_python}/site-packages/demo.py".encode() in compiled
    assert str(tmp_path).encode() not in compiled
    assert (site / "__pycache__").stat().st_mode & 0o777 == 0o755


def test_two_runs_give_the_same_bytes_whatever_the_umask(
    make_wheel: MakeWheel,
    install: Install,
    tmp_path: Path,
    tree_on_disk: Callable[[Path], dict[str, tuple[int, str]]],
) -> None:
    source = b"NAMES = frozenset({'a', 'b', 'c', 'd'})\ndef f(x):\n    return x in {'e', 'f', 'g', 'h'}\n"
    for name in ("one", "two", "three"):
        make_wheel(name, {f"{name}.py": source, f"{name}_data.txt": b"x"}, executable=(f"{name}_data.txt",))
    assert install(umask=0o077, root="first").returncode == 0
    assert install(umask=0, root="second").returncode == 0
    assert bytecode(tmp_path / "first") == bytecode(tmp_path / "second") != {}
    assert tree_on_disk(tmp_path / "first") == tree_on_disk(tmp_path / "second")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "first").rglob("*") if path.is_dir()}
    assert modes == {0o755}


def test_what_is_written_gets_the_epoch_and_nothing_else_does(
    make_wheel: MakeWheel, install: Install, tmp_path: Path
) -> None:
    make_wheel("one", {"one.py": b"", "shared.py": b"", "demo/deep/er.py": b""}, folder="first")
    make_wheel("two", {"two.py": b"", "shared.py": b""}, folder="second")
    first = {"SOURCE_DATE_EPOCH": "1000000000"}
    assert install(wheels="first", environment=first).returncode == 0
    above = (tmp_path / "root" / "opt").stat().st_mtime
    assert above > 1_700_000_000
    prefix = tmp_path / "root/opt/venv"
    times = {path: path.stat().st_mtime for path in (prefix, *prefix.rglob("*"))}
    assert set(times.values()) == {1_000_000_000}
    second = {"SOURCE_DATE_EPOCH": "1100000000"}
    assert install(wheels="second", environment=second).returncode == 0
    assert all(path.stat().st_mtime == 1_000_000_000 for path in times if path.is_file())
    changed = {path.stat().st_mtime for path in (prefix, *prefix.rglob("*")) if path not in times}
    assert changed == {1_100_000_000}


def test_two_wheels_that_disagree_on_a_file_are_named(make_wheel: MakeWheel, install: Install) -> None:
    make_wheel("one", {"same.py": b"1"})
    make_wheel("two", {"same.py": b"2"})
    done = install()
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: two-1.0-py3-none-any.whl and one-1.0-py3-none-any.whl both bring /opt/venv/lib/"
    )
    assert done.stderr.endswith("/site-packages/same.py, with different content\n")


def test_a_wheel_of_an_earlier_layer_is_named_too(make_wheel: MakeWheel, install: Install) -> None:
    make_wheel("one", {"same.py": b"1"}, folder="first")
    make_wheel("two", {"same.py": b"2"}, folder="second")
    assert install(wheels="first").returncode == 0
    done = install(wheels="second")
    assert done.returncode == 1
    assert "two-1.0-py3-none-any.whl and one-1.0 both bring" in done.stderr


def test_wheels_that_agree_share_a_file_and_its_bytecode(
    make_wheel: MakeWheel, install: Install, tmp_path: Path
) -> None:
    make_wheel("one", {"same.py": b"1"}, folder="first")
    make_wheel("two", {"same.py": b"1"}, folder="second")
    assert install(wheels="first").returncode == 0
    (path,) = (tmp_path / "root").rglob("*.pyc")
    before = path.stat().st_mtime_ns
    assert install(wheels="second").returncode == 0
    assert path.stat().st_mtime_ns == before


def test_the_environment_itself_is_never_replaced(
    make_wheel: MakeWheel, install: Install, tmp_path: Path
) -> None:
    python = tmp_path / "root/opt/venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/nowhere")
    make_wheel("demo", {"demo-1.0.data/scripts/python": b"#!python\n"})
    done = install()
    assert done.returncode == 1
    assert (
        "demo-1.0-py3-none-any.whl and the environment itself both bring /opt/venv/bin/python" in done.stderr
    )
    assert python.is_symlink()


@pytest.mark.parametrize(
    "path",
    ["../evil.py", "demo-1.0.data/data/../../../evil", "demo-1.0.data/scripts/../evil", "/evil"],
)
def test_a_path_that_leaves_its_folder_is_refused(
    make_wheel: MakeWheel, install: Install, tmp_path: Path, path: str
) -> None:
    make_wheel("demo", {path: b"evil"})
    done = install()
    assert done.returncode == 1
    # the last is what `posixpath.commonpath` says to installer
    said = ("leaves its folder", "is not contained in a valid .data", "Can't mix absolute and relative paths")
    assert any(text in done.stderr for text in said)
    assert not [found for found in tmp_path.rglob("evil*") if found.is_file()]


@pytest.mark.parametrize(
    "recorded",
    ["sha256=" + "A" * 43, "sha512=" + "A" * 86],
)
def test_a_file_that_contradicts_the_record_is_refused(
    make_wheel: MakeWheel, install: Install, recorded: str
) -> None:
    make_wheel("demo", {"demo.py": b"x"}, record={"demo.py": recorded})
    done = install()
    assert done.returncode == 1
    assert done.stderr == (
        "error: demo-1.0-py3-none-any.whl is not a wheel that can be installed: "
        "demo.py does not have the hash its RECORD states\n"
    )


def test_a_file_without_a_hash_is_taken_as_it_is(make_wheel: MakeWheel, install: Install) -> None:
    make_wheel("demo", {"demo.py": b"x"}, record={"demo.py": ""})
    assert install().returncode == 0


def test_a_broken_wheel_is_an_error_not_a_traceback(install: Install, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "demo-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04 cut off")
    done = install()
    assert done.returncode == 1
    assert done.stderr.startswith("error: demo-1.0-py3-none-any.whl is not a wheel that can be installed")


def test_an_empty_folder_installs_nothing(install: Install, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    done = install()
    assert (done.returncode, done.stderr) == (0, "")
    assert not list((tmp_path / "root").rglob("*"))
