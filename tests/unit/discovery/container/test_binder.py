"""Which files Binder takes, and what its scripts ask for."""

import pytest

from envbuild.discovery.container.binder import BinderFiles, binder_files, read_binder
from envbuild.discovery.content import FileContent


def chosen(*files: str) -> BinderFiles | None:
    return binder_files(files.__contains__)


def read(files: dict[str, str]) -> FileContent:
    found = binder_files(files.__contains__)
    assert found is not None
    return read_binder(found, files.get, exists=files.__contains__)


def left(content: FileContent) -> list[str]:
    return [str(problem) for problem in content.left]


@pytest.mark.parametrize(
    ("files", "folder", "main", "ignored"),
    [
        (("binder/environment.yml", "environment.yml", "apt.txt", "setup.py"), "binder/",
         "binder/environment.yml", ("environment.yml", "apt.txt")),
        (("binder/requirements.txt", "binder/environment.yml"), "binder/", "binder/environment.yml",
         ("binder/requirements.txt",)),
        (("binder/environment.yml", "binder/runtime.txt"), "binder/", "binder/environment.yml",
         ("binder/runtime.txt",)),
        ((".binder/requirements.txt", ".binder/runtime.txt"), ".binder/", ".binder/requirements.txt", ()),
        (("binder/apt.txt", ".binder/apt.txt"), "binder/", None, (".binder/apt.txt",)),
        (("postBuild", "requirements.txt"), "", "requirements.txt", ()),
    ],
)  # fmt: skip
def test_which_files_count(files, folder, main, ignored):
    found = chosen(*files)
    assert found is not None
    assert (found.folder, found.dockerfile, found.main, found.ignored) == (folder, None, main, ignored)


def test_a_dockerfile_wins_over_all_others():
    assert chosen("binder/Dockerfile", "binder/apt.txt", "binder/environment.yml") == BinderFiles(
        "binder/", "binder/Dockerfile", None, ("binder/environment.yml", "binder/apt.txt")
    )


def test_a_repository_without_its_files_is_not_for_binder():
    assert chosen("requirements.txt", "apt.txt", "Dockerfile", "environment.yml") is None


def test_scripts_and_the_python():
    content = read(
        {
            "binder/requirements.txt": "",
            "binder/runtime.txt": "python-3.11\n",
            "binder/postBuild": "#!/bin/bash\nset -e\npip install -e .\njupyter lab build\n",
            "binder/start": '#!/bin/bash\nexport OMP_NUM_THREADS=1\nexport X=$(date)\nsleep 1\nexec "$@"\n',
            "binder/install.R": "",
            "setup.py": "",
        }
    )
    assert content.files == ["binder/requirements.txt", "setup.py"]
    assert content.tables == {"image": {"env": {"OMP_NUM_THREADS": "1"}}}
    assert [(python.text, python.where) for python in content.pythons] == [("3.11", "binder/runtime.txt")]
    assert left(content) == [
        "binder/postBuild:4: `jupyter lab build`: configures Jupyter",
        "binder/start:3: `export X=$(date)` is known when a container starts",
        "binder/start:4: `sleep 1` runs when a container starts",
        "binder/install.R: not taken: it installs packages of R",
    ]


def test_what_is_ignored_is_reported():
    assert left(read({"binder/environment.yml": "", "binder/requirements.txt": ""})) == [
        "binder/requirements.txt: not taken: Binder does not read it beside binder/environment.yml"
    ]


def test_a_script_of_another_language_is_reported():
    assert left(read({"binder/postBuild": "#!/usr/bin/env python\nprint()\n"})) == [
        "binder/postBuild: `#!/usr/bin/env python` runs it, which is no shell"
    ]
