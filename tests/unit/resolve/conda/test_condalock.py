"""conda-lock as a process: what it is started with."""

import importlib.util
import py_compile

from envbuild.resolve.conda.condalock import bytecode_settings


def test_bytecode_is_kept_where_the_installation_has_none(tmp_path):
    source = tmp_path / "program.py"
    source.write_text("x = 1\n")
    spec = importlib.util.spec_from_file_location("program", source)
    kept = tmp_path / "kept"
    assert bytecode_settings(spec, kept) == {"PYTHONPYCACHEPREFIX": str(kept)}
    py_compile.compile(str(source))
    assert bytecode_settings(spec, kept) == {}


def test_a_program_that_is_not_there_has_no_bytecode(tmp_path):
    assert bytecode_settings(None, tmp_path) == {"PYTHONPYCACHEPREFIX": str(tmp_path)}
