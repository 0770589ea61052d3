"""Which of several files of one kind is taken."""

from pathlib import Path

import pytest

from envbuild.discovery.container_files import leave_out_beside_binder, read_container_files
from envbuild.discovery.project_folder import ProjectFolder

CONDA = "channels: [conda-forge]\ndependencies: [numpy]\n"
LOCKED = """\
version: 1
metadata: {channels: [{url: conda-forge}]}
package:
- {name: python, version: 3.11.9, manager: conda, platform: linux-64, hash: {md5: %s},
   url: https://conda.example.com/conda-forge/linux-64/python-3.11.9-h1_0_cpython.conda}
""" % ("0a" * 16)


def read(root: Path, files: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the files that something was taken of, and the places that are reported."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder = ProjectFolder(root)
    contents = [*leave_out_beside_binder(folder), *read_container_files(folder)]
    taken = [taken.file for content in contents for taken in content.taken]
    return taken, [problem.where for content in contents for problem in content.left]


@pytest.mark.parametrize(
    ("files", "taken", "left"),
    [
        ({"environment.yml": CONDA, "environment-b.yml": CONDA}, ["environment.yml"], ["environment-b.yml"]),
        ({"environment.yml": CONDA, "conda-lock.yml": LOCKED}, ["conda-lock.yml"], ["environment.yml"]),
        ({"environment.yml": CONDA, "conda-lock.yml": LOCKED.replace("linux-64/py", "osx-64/py")},
         ["environment.yml"], ["conda-lock.yml: package[0]", "conda-lock.yml", "conda-lock.yml"]),
        ({"docker/conda/env-gpu.yml": CONDA, "docker/env.yml": "a: 1"}, ["docker/conda/env-gpu.yml"], []),
        ({"e/x.yml": CONDA, "environment.yml": CONDA, "Dockerfile":
          "FROM python:3.11\nCOPY e/x.yml /\nRUN conda env create -f /x.yml"},
         ["e/x.yml", "Dockerfile"], ["environment.yml"]),
        ({"environment.yml": CONDA, "spec-file.txt": "@EXPLICIT\n"}, ["environment.yml"], ["spec-file.txt"]),
        ({"binder/environment.yml": CONDA, "environment.yml": CONDA, "apt.txt": "git"},
         ["binder/environment.yml"], ["environment.yml", "apt.txt"]),
        ({"Dockerfile": "FROM python:3.11", "docker/Dockerfile": ""}, ["Dockerfile"], ["docker/Dockerfile"]),
    ],
)  # fmt: skip
def test_one_file_of_a_kind_is_taken_and_the_others_are_reported(tmp_path: Path, files, taken, left):
    assert read(tmp_path, files) == (taken, left)
