import os
import py_compile
import stat
import subprocess
import sys

import pytest

from envbuild.render.templates import template_folder

SCRIPT = template_folder() / "devcontainer/editable.py"
HEADER = 16


def run(*words):
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)


def compiled(source, mode):
    return py_compile.compile(str(source), doraise=True, invalidation_mode=mode)


@pytest.fixture
def site(tmp_path):
    """Return a folder of packages with a module in it, compiled as images hold it."""
    folder = tmp_path / "lib/python3.11/site-packages"
    (folder / "package").mkdir(parents=True)
    source = folder / "package/module.py"
    source.write_text("value = 'locked'\n")
    source.chmod(0o644)
    compiled(source, py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return folder


def ask(site):
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from package import module; print(module.value)"
    return run("-I", "-S", "-B", "-c", code).stdout


def test_an_edit_counts_from_then_on(tmp_path, site):
    source = site / "package/module.py"
    source.write_text("value = 'edited'\n")
    assert ask(site) == "locked\n"  # why the script is there
    source.write_text("value = 'locked'\n")

    assert run(SCRIPT, tmp_path).returncode == 0
    assert ask(site) == "locked\n"
    source.write_text("value = 'edited'\n")
    assert ask(site) == "edited\n"


def test_one_bit_of_bytecode_changes_and_no_time(tmp_path, site):
    (bytecode,) = site.rglob("*.pyc")
    before, time = bytecode.read_bytes(), bytecode.stat().st_mtime_ns
    assert run(SCRIPT, tmp_path).returncode == 0
    after = bytecode.read_bytes()
    assert [(old, new) for old, new in zip(before, after, strict=True) if old != new] == [(0b01, 0b11)]
    assert bytecode.stat().st_mtime_ns == time
    again = bytecode.stat().st_ctime_ns
    assert run(SCRIPT, tmp_path).returncode == 0
    assert bytecode.read_bytes() == after
    assert bytecode.stat().st_ctime_ns == again


@pytest.mark.parametrize(
    "mode", [py_compile.PycInvalidationMode.CHECKED_HASH, py_compile.PycInvalidationMode.TIMESTAMP]
)
def test_other_bytecode_stays_as_it_is(tmp_path, site, mode):
    bytecode = compiled(site / "package/module.py", mode)
    with open(bytecode, "rb") as stream:  # noqa: PTH123 - what py_compile returns
        before = stream.read()
    assert run(SCRIPT, tmp_path).returncode == 0
    with open(bytecode, "rb") as stream:  # noqa: PTH123
        assert stream.read() == before


def test_sources_and_folders_are_opened_and_nothing_else(tmp_path, site):
    library, link = site / "package/fast.so", site / "package/link.py"
    library.write_bytes(b"\x7fELF")
    library.chmod(0o755)
    outside = tmp_path / "outside.py"
    outside.write_text("")
    outside.chmod(0o644)
    link.symlink_to(outside)
    (site / "package/broken.pyc").write_bytes(b"short")
    assert run(SCRIPT, tmp_path).returncode == 0
    modes = {path.name: stat.S_IMODE(os.lstat(path).st_mode) for path in (site, *site.rglob("*"), outside)}
    assert modes["module.py"] == 0o666
    assert modes["fast.so"] == 0o755
    assert modes["outside.py"] == 0o644
    assert {modes["site-packages"] & 0o222, modes["package"] & 0o222, modes["__pycache__"] & 0o222} == {0o222}


def test_what_is_no_environment_is_an_error(tmp_path):
    done = run(SCRIPT, tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path} is no Python environment\n"
