"""What several files of one folder give together: what they share, contradict, and leave to each other."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from envbuild.discovery.folder import Discovery, DiscoveryOptions, discover


def found_in(folder: Path, files: Mapping[str, str]) -> Discovery:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return discover(folder, DiscoveryOptions(name="x"))


def reported(found: Discovery) -> list[str]:
    return [f"{problem.where}: {problem.message}" for problem in found.left if problem.where]


PROJECT = """\
[project]
name = "Own-Tool"
dependencies = ["torch==2.1.2", "numpy<2"]
[project.optional-dependencies]
serve = ["flask"]
"""


def test_the_project_itself_stands_for_what_it_requires_and_its_extras(tmp_path: Path):
    found = found_in(
        tmp_path,
        {
            "pyproject.toml": PROJECT,
            "Dockerfile": "FROM python:3.11\nRUN pip install tqdm\nRUN pip install own_tool[serve]\n",
        },
    )

    assert found.tables["pip"] == {"project": True, "extras": ["serve"], "packages": ["tqdm"]}
    assert reported(found) == [
        "Dockerfile:3: `own-tool[serve]` is the project itself: only what it requires is taken"
    ]


@pytest.mark.parametrize(
    ("line", "other"),
    [("torch==2.0.1", "torch==2.1.2"), ("numpy==2.1.0", "numpy<2")],
    ids=["two pins", "a pin and a bound"],
)
def test_what_the_project_excludes_is_left_out_with_both_files_named(tmp_path: Path, line: str, other: str):
    cog = f'build:\n  python_version: "3.11"\n  python_packages:\n    - "tqdm==4.66.1"\n    - "{line}"\n'

    found = found_in(tmp_path, {"pyproject.toml": PROJECT, "cog.yaml": cog})

    assert found.tables["pip"] == {"project": True, "packages": ["tqdm==4.66.1"]}
    assert f"cog.yaml:5: `{line}` contradicts `{other}` of pyproject.toml, which is taken" in reported(found)


README = """\
# own

Usage of `pip install nothing` in a sentence is no command.

```sh
git clone https://git.example.com/me/own
pip install own
pip install torch "numpy<2"
$ python3 -m pip install tqdm
```
"""


def test_commands_of_a_readme_count_where_nothing_else_does(tmp_path: Path):
    found = found_in(tmp_path / "own", {"README.md": README, "train.py": "import torch\n"})

    assert found.tables["pip"] == {"packages": ["torch", "numpy<2", "tqdm"]}
    assert reported(found) == ["README.md: its commands are all that says what is needed"]


@pytest.mark.parametrize("file", ["requirements.txt", "environment.yml"])
def test_a_readme_does_not_count_beside_files(tmp_path: Path, file: str):
    texts = {"requirements.txt": "six\n", "environment.yml": "dependencies: [python=3.11, six]\n"}

    found = found_in(tmp_path / "own", {"README.md": README, file: texts[file]})

    assert not any(taken.file == "README.md" for taken in found.taken)


@pytest.mark.parametrize(
    "setup",
    [
        "from setuptools import setup\nsetup(name='own')\n",
        "from setuptools import setup\nsetup(name='own', install_requires=[])\n",
    ],
    ids=["nothing said", "none said"],
)
def test_a_setup_py_that_names_nothing_is_nothing_taken(tmp_path: Path, setup: str):
    found = found_in(tmp_path, {"setup.py": setup, "examples/one/requirements.txt": "six\n"})

    assert found.tables == {}
    assert [str(problem) for problem in found.left if problem.where] == [
        "setup.py: names no dependencies",
        "examples/one/requirements.txt: not taken: it is in a folder of its own",
    ]
    assert found.left[-1].hint == "`envbuild init examples/one` writes a spec there"


def test_what_lies_deeper_is_named_when_nothing_is_taken(tmp_path: Path):
    files = {
        "workflow/envs/align.yaml": "dependencies: [bwa]\n",
        "workflow/config/run.yaml": "a: 1\n",
        "node_modules/x/pyproject.toml": "",
        ".cache/pyproject.toml": "",
    }

    found = found_in(tmp_path, files)

    assert [(problem.where, problem.hint) for problem in found.left if problem.where] == [
        ("workflow/envs/align.yaml", "`envbuild init workflow/envs/align.yaml` writes a spec there")
    ]


def test_a_project_that_says_it_needs_nothing_is_python_alone(tmp_path: Path):
    found = found_in(tmp_path, {"pyproject.toml": '[project]\nname = "a"\ndependencies = []\n'})

    assert found.tables == {"name": "x", "python": "3.12"}
    assert "nothing is asked for: the environment is Python alone" in [each.message for each in found.left]


WORKSPACE = (
    '[project]\nname = "root"\ndependencies = [{root}]\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
)
MEMBERS = {
    "packages/a/pyproject.toml": '[project]\nname = "a"\ndependencies = ["six"]\n',
    "packages/b/pyproject.toml": '[project]\nname = "b"\ndependencies = ["a", "tqdm"]\n',
}


def test_a_root_that_needs_nothing_gives_what_its_members_need(tmp_path: Path):
    found = found_in(tmp_path, {"pyproject.toml": WORKSPACE.replace("{root}", ""), **MEMBERS})

    assert found.tables["pip"] == {"packages": ["six", "tqdm"]}


def test_members_nobody_requires_are_reported(tmp_path: Path):
    found = found_in(tmp_path, {"pyproject.toml": WORKSPACE.replace("{root}", '"httpx"'), **MEMBERS})

    assert found.tables["pip"] == {"project": True}
    assert reported(found) == ["pyproject.toml: not taken: members a, b"]


def test_binder_takes_its_own_folder_and_no_requirements_beside_it(tmp_path: Path):
    found = found_in(
        tmp_path,
        {
            "binder/environment.yml": "channels: [conda-forge]\ndependencies: [python=3.11, six]\n",
            "requirements.txt": "tqdm\n",
        },
    )

    assert "pip" not in found.tables
    assert reported(found) == [
        "requirements.txt: not taken: Binder does not read it beside binder/environment.yml"
    ]


def test_workflows_that_narrow_nothing_are_not_told(tmp_path: Path):
    matrix = "jobs:\n  t:\n    strategy:\n      matrix:\n        python-version: [{}]\n"
    found = found_in(
        tmp_path,
        {
            "requirements.txt": "six\n",
            ".github/workflows/docs.yml": matrix.format('"3.8"'),
            ".github/workflows/test.yml": matrix.format('"3.10", "3.11", "3.12", "3.13", "3.14"'),
        },
    )

    assert found.tables["python"] == "3.12"
    assert [taken.file for taken in found.taken] == ["requirements.txt"]


LOCK = """\
version = 1
requires-python = ">=3.11"
[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://index.example.com/simple" }
"""


def test_a_lock_its_own_project_excludes_is_not_taken(tmp_path: Path):
    project = '[project]\nname = "a"\nrequires-python = ">=3.11"\ndependencies = ["six==1.17.0"]\n'

    found = found_in(tmp_path, {"pyproject.toml": project, "uv.lock": LOCK})

    assert found.tables["pip"] == {"project": True}
    assert reported(found) == [
        "uv.lock: its versions are not taken: `six==1.16.0` contradicts `six==1.17.0` of pyproject.toml"
    ]


def test_a_list_beside_a_project_that_its_lock_excludes_is_not_taken(tmp_path: Path):
    project = '[project]\nname = "a"\nrequires-python = ">=3.11"\ndependencies = ["six"]\n'

    found = found_in(
        tmp_path, {"pyproject.toml": project, "uv.lock": LOCK, "requirements.txt": "six==1.15.0\n"}
    )

    assert found.tables["pip"] == {"project": True, "locks": ["uv.lock"]}
    assert reported(found) == [
        "requirements.txt: not taken: its `six==1.15.0` contradicts `six==1.16.0` of uv.lock"
    ]


@pytest.mark.parametrize(
    ("files", "python"),
    [
        pytest.param({}, "3.11", id="alone"),
        pytest.param({".python-version": "3.13\n"}, "3.13", id="beside one who knows"),
        pytest.param({"setup.py": "setup(python_requires='>=3.12')"}, "3.12", id="against a bound"),
    ],
)
def test_the_environment_that_a_readme_makes_says_which_python(tmp_path: Path, files, python: str):
    readme = "# a\n\n```\nconda create -n a python=3.11 -y\n```\n"

    found = found_in(tmp_path, {"README.md": readme, "requirements.txt": "six\n", **files})

    assert found.tables["python"] == python


def test_a_readme_of_an_old_python_gives_the_nearest(tmp_path: Path):
    readme = "# a\n\n    conda create --name a python=3.8\n"

    found = found_in(tmp_path, {"README.md": readme, "requirements.txt": "six\n"})

    assert found.tables["python"] == "3.10"
    assert str(found.taken[-1].what) == "Python 3.10, the nearest to 3.8.*"


def test_a_list_that_installs_the_project_with_extras_takes_them(tmp_path: Path):
    found = found_in(tmp_path, {"pyproject.toml": PROJECT, "requirements.txt": ".[serve]\nsix\n"})

    assert found.tables["pip"] == {"packages": ["six"], "project": True, "extras": ["serve"]}
    assert reported(found) == [
        "requirements.txt:1: `.[serve]` is the project itself: only what it requires is taken"
    ]


def test_an_empty_list_is_nothing_taken(tmp_path: Path):
    found = found_in(tmp_path, {"requirements.txt": "# later\n", "app/pyproject.toml": ""})

    assert found.tables == {}
    assert reported(found) == [
        "requirements.txt: names no requirements",
        "app/pyproject.toml: not taken: it is in a folder of its own",
    ]


def test_a_page_and_an_index_in_one_command_are_bound_to_their_own(tmp_path: Path):
    command = (
        "pip install dgl==1.0.2+cu116 -f https://data.example.com/wheels/cu116/repo.html"
        " torch==1.12.1+cu116 --extra-index-url https://download.pytorch.org/whl/cu116"
    )

    found = found_in(tmp_path, {"Dockerfile": f"FROM python:3.10\nRUN {command}\n"})

    assert found.tables["pip"]["sources"] == {"dgl": "repo", "torch": "cu116"}
    assert reported(found) == []
