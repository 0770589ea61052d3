"""Files that say which Python is used or tested."""

from pathlib import Path

import pytest

from envbuild.discovery.project_folder import ProjectFolder
from envbuild.discovery.python_evidence import READERS

WORKFLOW = """\
jobs:
  t:
    strategy:
      matrix:
        python-version: [3.9, 3.10, '3.11']
    steps:
    - uses: x
      with: {python-version: '${{ matrix.python-version }}'}
"""


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (".python-version", "3.11.9\n", ["3.11.9"]),
        (".python-version", "cpython-3.11\n", ["3.11"]),
        (".python-version", "# a comment\n3.10.4\n", ["3.10.4"]),
        ("runtime.txt", "python-3.11.4", ["3.11.4"]),
        (".tool-versions", "nodejs 20.1.0\npython 3.11.4 3.9.1\n", ["3.11.4"]),
        ("mise.toml", '[tools]\npython = "3.12"\n', ["3.12"]),
        ("tox.ini", "[tox]\nenvlist = py38, py310, py{39,311}-test\n", ["3.8.*|3.9.*|3.10.*|3.11.*"]),
        ("noxfile.py", '@nox.session(python=["3.9", "3.10"])\ndef t(s): ...\n', ["3.9.*|3.10.*"]),
        (
            ".github/workflows/ci.yml",
            WORKFLOW,
            ["3.9.*|3.10.*|3.11.*"],
        ),
        (".github/workflows/ci.yml", "a: [\n", []),
        ("tox.ini", "[tox]\n", []),
    ],
)
def test_pythons_of_a_file(tmp_path: Path, file: str, text: str, expected: list[str]) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    folder = ProjectFolder(tmp_path)

    found = [python.text for reader in READERS for content in reader(folder) for python in content.pythons]
    assert found == expected
