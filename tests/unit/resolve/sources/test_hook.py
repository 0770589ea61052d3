"""How a build backend is called."""

import json
import subprocess
import sys
from pathlib import Path

from envbuild.resolve.sources.backend import HOOK


def test_the_folder_of_a_project_hides_no_module(tmp_path: Path) -> None:
    """Projects have folders named like modules of Python; PEP 517 keeps them off the path."""
    for name in ("json.py", "importlib.py", "setuptools.py", "own.py"):
        (tmp_path / name).write_text("raise SystemExit(name)")
    library = tmp_path / "library"
    library.mkdir()
    (library / "own.py").write_text("def build_wheel(folder):\n    return 'a.whl'\n")
    answer = tmp_path / "answer.json"
    subprocess.run(
        [sys.executable, "-c", HOOK, "wheel", "own", "[]", "", str(answer)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(library)},
        check=True,
    )
    assert json.loads(answer.read_text()) == "a.whl"


def test_a_backend_of_the_project_itself_is_found(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "own.py").write_text("def get_requires_for_build_wheel():\n    return ['six']\n")
    answer = tmp_path / "answer.json"
    command = [sys.executable, "-c", HOOK, "requires", "own", '["tools"]', "", str(answer)]
    subprocess.run(command, cwd=tmp_path, env={}, check=True)
    assert json.loads(answer.read_text()) == ["six"]
