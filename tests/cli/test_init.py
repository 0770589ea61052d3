"""`envbuild init`: what each kind of file gives, what it cannot give, and that nothing is overwritten."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envbuild.discovery.folder import DiscoveryOptions, discover
from envbuild.discovery.pyproject import RequirementLists
from tests.rig.program import Program
from tests.rig.specs import request_of


def write(files):
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def init(program: Program, files, *arguments: str):
    """Write files, run the command; return the spec as tables and the report as JSON."""
    write(files)
    answer = program("init", "--json", *arguments)
    assert answer.code == 0, answer.stderr
    request_of(program.spec)  # it loads
    return tomllib.loads(program.spec.read_text()), json.loads(answer.stdout)


def left(report):
    return [f"{item['where']}: {item['message']}" for item in report["left"]]


def test_an_empty_folder_gives_no_spec(program: Program):
    answer = program("init")
    assert (answer.code, answer.stdout) == (3, "")
    assert answer.stderr.startswith("error: nothing of `.` can be taken; nothing was written\n")
    assert "looked for requirements files, pyproject.toml" in answer.stderr
    assert not program.spec.exists()


def test_files_that_can_be_taken_whole_are_named(program: Program):
    tables, report = init(
        program,
        {
            "requirements.txt": "numpy>=2  # fast\n-r more/extra.txt\n-c bounds.txt\n",
            "more/extra.txt": "pandas\n",
            "bounds.txt": "pandas<3\n",
            "apt.txt": "git\nlibgl1 # for opencv\n",
            ".python-version": "3.11.9\n",
        },
    )
    assert tables == {
        "name": "project",
        "python": "3.11.9",
        "pip": {"requirements": ["requirements.txt"]},
        "system": {"files": ["apt.txt"]},
    }
    assert report["taken"] == [
        {"file": "requirements.txt", "what": "2 requirements"},
        {"file": "apt.txt", "what": "2 Debian packages"},
        {"file": ".python-version", "what": "Python 3.11.9"},
    ]
    assert report["left"] == []


def test_lines_that_no_lock_can_hold_are_left_and_said(program: Program):
    tables, report = init(
        program,
        {
            "requirements.txt": (
                "numpy\n-e .\n--extra-index-url https://me:s3cret@index.example.com/simple\n-c c.txt\n"
            ),
            "c.txt": "numpy<3\n",
            "apt.txt": "git Nonsense!\n",
        },
    )
    assert tables["pip"] == {"packages": ["numpy"]}
    assert tables["system"] == {"packages": ["git"]}
    assert left(report)[:4] == [
        "requirements.txt:2: `.` is the project itself: only what it requires is taken",
        "requirements.txt:3: `--extra-index-url` is not taken from requirements files",
        "requirements.txt: its constraints are not taken",
        "apt.txt:1: `Nonsense!` is not a package name of the distribution",
    ]
    assert "s3cret" not in json.dumps(report) + program.spec.read_text()


PROJECT = """\
[project]
name = "My.Project"
requires-python = ">=3.10,<3.12"
dependencies = ["six"]
[project.optional-dependencies]
plot = ["matplotlib"]
[dependency-groups]
dev = ["pytest", {include-group = "lint"}]
lint = ["ruff"]
docs = ["sphinx"]
"""


def test_a_project_with_groups_and_extras(program: Program):
    tables, report = init(program, {"pyproject.toml": PROJECT})
    assert tables == {
        "name": "my-project",
        "python": "3.11",
        "pip": {"project": True, "groups": ["dev"]},
    }
    assert report["taken"] == [
        {"file": "pyproject.toml", "what": "dependencies, group dev"},
        {"file": "pyproject.toml", "what": "Python 3.11, which `>=3.10,<3.12` allows"},
    ]
    assert left(report) == [
        "pyproject.toml: not taken: extras plot",
        "pyproject.toml: not taken: groups docs",
    ]
    variant = request_of(program.spec).variants["default"]
    assert variant.pip.requirements == ("pytest", "ruff", "six")


@pytest.mark.parametrize(
    ("arguments", "pip"),
    [
        (
            ("--extra", "Plot", "--group", "docs"),
            {"project": True, "extras": ["plot"], "groups": ["dev", "docs"]},
        ),
        (
            ("--all-extras", "--all-groups"),
            {"project": True, "extras": ["plot"], "groups": ["dev", "lint", "docs"]},
        ),
    ],
)
def test_groups_and_extras_on_demand(program: Program, arguments, pip):
    assert init(program, {"pyproject.toml": PROJECT}, *arguments)[0]["pip"] == pip


def test_a_group_that_is_not_there_is_said(program: Program):
    tables, report = init(program, {"pyproject.toml": PROJECT}, "--group", "nope")
    assert tables["pip"]["groups"] == ["dev"]
    assert "pyproject.toml: it has no group `nope`" in left(report)


def test_the_projects_own_choice_of_groups(program: Program):
    text = f'{PROJECT}[tool.uv]\ndefault-groups = ["docs"]\n'
    assert init(program, {"pyproject.toml": text})[0]["pip"]["groups"] == ["docs"]


def test_uvs_indexes_bind_packages(program: Program):
    tables, report = init(
        program,
        {
            "pyproject.toml": PROJECT
            + """\
[[tool.uv.index]]
name = "Torch_CU"
url = "https://download.example.com/cu126"
explicit = true
[[tool.uv.index]]
name = "corp"
url = "https://corp.example.com/simple"
[tool.uv.sources]
torch = { index = "Torch_CU" }
jax = [{ index = "corp", marker = "sys_platform == 'linux'" }, { index = "Torch_CU" }]
mine = { path = "../mine" }
"""
        },
    )
    assert tables["pip"]["sources"] == {"torch": "torch-cu"}
    assert tables["pip"]["indexes"] == {"torch-cu": "https://download.example.com/cu126"}
    assert left(report)[2:] == [
        "pyproject.toml: tool.uv.sources.jax: `jax` has several sources that hold at once",
        "pyproject.toml: tool.uv.sources.mine: `mine` is not from an index",
        "pyproject.toml: tool.uv.index: `corp` is not taken: no package is bound to it",
    ]


def test_what_uv_takes_from_a_place_is_not_asked_of_an_index(program: Program):
    text = (
        PROJECT.replace('["six"]', '["six", "My_Lib>=1"]')
        + "[tool.uv.sources]\nmy-lib = {workspace = true}\n"
    )
    tables, report = init(program, {"pyproject.toml": text})
    assert tables["pip"] == {"packages": ["six"], "groups": ["dev"]}
    assert left(report)[0] == (
        "pyproject.toml: project.dependencies[1]: `my-lib` is not from an index: "
        "[tool.uv.sources] of `pyproject.toml`"
    )
    assert report["taken"][0] == {
        "file": "pyproject.toml",
        "what": "dependencies, written into the spec because of what is left out below, group dev",
    }


def test_dynamic_dependencies_are_followed_to_their_file(program: Program):
    tables, _ = init(
        program,
        {
            "pyproject.toml": '[project]\nname = "a"\ndynamic = ["dependencies"]\n'
            '[tool.setuptools.dynamic]\ndependencies = {file = ["deps.txt"]}\n',
            "deps.txt": "six\n",
        },
    )
    assert tables["pip"] == {"requirements": ["deps.txt"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[project]\nname = "a"\ndynamic = ["dependencies"]\n', "dynamic: only a build tells them"),
        ('[project]\nname = "a"\n[tool.poetry.group.docs.dependencies]\nsphinx = "*"\n', "groups docs"),
        ('[tool.uv]\noverride-dependencies = ["six<2"]\n', "tool.uv.override-dependencies: not taken"),
        ('[tool.pdm.dev-dependencies]\ntest = ["pytest"]\n', "not taken: groups test"),
        ('[project]\nname = "a"\nrequires-python = ">=4"\n', "no supported Python is in `>=4`"),
        ("[project\n", "expected"),
        ('[project]\ndependencies = "six"\n', "must be a list, not a string"),
        ('[project]\nname = "a"\ndependencies = ["x @ https://u:s3cret@h.example/x.whl"]\n', "credentials"),
    ],
)
def test_what_a_project_cannot_give_is_said(program: Program, text: str, said: str):
    tables, report = init(program, {"pyproject.toml": text, "apt.txt": "git"})
    assert any(said in line for line in left(report)), left(report)
    assert "s3cret" not in json.dumps(report)
    assert "pip" not in tables


ENVIRONMENT = """\
name: sci
channels: [conda-forge]
dependencies:
  - python=3.11
  - graphviz >=2
  - pip
  - pip: [requests]
variables: {A: "1"}
"""


def test_an_environment_of_conda(program: Program):
    tables, report = init(program, {"environment.yml": ENVIRONMENT})
    assert tables == {"name": "sci", "python": "3.11", "conda": {"files": ["environment.yml"]}}
    assert report["taken"][0] == {"file": "environment.yml", "what": "1 conda package, 1 requirement"}
    assert report["left"] == []


def test_an_environment_without_conda_packages_needs_no_conda(program: Program):
    tables, _ = init(program, {"environment.yml": ENVIRONMENT.replace("  - graphviz >=2\n", "")})
    assert tables == {
        "name": "sci",
        "python": "3.11",
        "pip": {"packages": ["requests"]},
        "image": {"env": {"A": "1"}},
    }


def test_an_environment_with_what_no_lock_can_hold(program: Program):
    text = ENVIRONMENT.replace("[conda-forge]", "[conda-forge, defaults]")
    tables, report = init(program, {"environment.yml": text})
    assert tables["conda"] == {
        "channels": ["conda-forge"],
        "packages": ["graphviz >=2"],
    }
    assert left(report) == ["environment.yml:2: `defaults` stands for several channels"]


MD5 = "0123456789abcdef" * 2
LOCKED = f"""\
version: 1
metadata: {{content_hash: {{linux-64: abc}}, channels: [{{url: conda-forge, used_env_vars: []}}]}}
package:
- {{name: python, version: 3.11.9, manager: conda, platform: linux-64, category: main, hash: {{md5: {MD5}}},
   url: https://conda.example.com/conda-forge/linux-64/python-3.11.9-h1_0_cpython.conda}}
- {{name: six, version: 1.17.0, manager: conda, platform: linux-64, category: main, hash: {{md5: {MD5}}},
   url: https://conda.example.com/conda-forge/noarch/six-1.17.0-pyhe01879c_1.conda}}
"""


def test_a_lock_of_conda_is_taken_whole_and_says_which_python(program: Program):
    tables, report = init(program, {"conda-lock.yml": LOCKED})
    assert tables == {"name": "project", "python": "3.11", "conda": {"files": ["conda-lock.yml"]}}
    assert report["taken"] == [
        {"file": "conda-lock.yml", "what": "2 conda packages, 0 requirements"},
        {"file": "conda-lock.yml", "what": "Python 3.11"},
    ]
    assert report["left"] == []


def test_a_lock_of_conda_with_an_entry_no_lock_can_hold_is_not_taken(program: Program):
    text = LOCKED.replace("noarch/six-1.17.0-pyhe01879c_1.conda", "osx-64/six-1.17.0-py311_0.conda")
    tables, report = init(program, {"conda-lock.yml": text, "apt.txt": "git"})
    assert tables == {"name": "project", "python": "3.11", "system": {"files": ["apt.txt"]}}
    assert [item["what"] for item in report["taken"]] == ["1 Debian package", "Python 3.11"]
    assert left(report) == [
        "conda-lock.yml: package[1]: `six-1.17.0-py311_0.conda` is for osx-64, not for linux-64",
        "conda-lock.yml: not taken: a conda-lock.yml is taken whole or not at all",
    ]


@pytest.mark.parametrize(
    ("conda", "project", "python", "said"),
    [
        ("python>=3.9", ">=3.9,<3.12", "3.11", []),
        ("python >=3.10,<3.11|3.13.*", ">=3.9", "3.13", []),
        ("python>=3.13", "<3.12", "3.13",
         ["pyproject.toml: no supported Python is in `<3.12` and in `>=3.13` of environment.yml:2"]),
        ("python=3.12", ">=3.9,<3.12", "3.12",
         ["pyproject.toml: `>=3.9,<3.12` does not allow Python 3.12, which environment.yml:2 names"]),
        ("python=3.11.*", ">=3.9,<3.12", "3.11", []),
    ],
)  # fmt: skip
def test_all_that_is_said_of_python_counts(program: Program, conda, project, python, said):
    tables, report = init(
        program,
        {
            "environment.yml": f"channels: [conda-forge]\ndependencies: ['{conda}']\n",
            "pyproject.toml": f'[project]\nname = "a"\nrequires-python = "{project}"\ndependencies = ["six"]',
        },
    )
    assert tables["python"] == python
    assert left(report) == said


def test_other_requirements_files_are_named_with_the_line_that_takes_them(program: Program):
    _, report = init(
        program,
        {
            "requirements.txt": "six\n",
            "requirements.in": "six\n",
            "requirements-dev.txt": "pytest\n",
            "requirements/docs.txt": "sphinx\n",
        },
    )
    assert [item["where"] for item in report["left"]] == [
        "requirements.in", "requirements-dev.txt", "requirements/docs.txt", "",
    ]  # fmt: skip
    assert report["left"][1]["hint"] == (
        '`requirements = ["requirements-dev.txt"]` in [pip], or in [variants.NAME.pip] for some'
    )


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("requirements.txt", b"\xff\x00\x01"),
        ("pyproject.toml", b"\xff"),
        ("environment.yml", b"a: [\n"),
        ("environment.yml", b"- 1\n"),
        ("apt.txt", b"\xfe"),
        (".python-version", b"pypy3.9\n"),
        (".python-version", b"2.7\n"),
        ("runtime.txt", b"\xff"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_rest_is_taken(program: Program, file: str, content: bytes):
    Path(file).write_bytes(content)
    other = "apt.txt" if file == "requirements.txt" else "requirements.txt"
    Path(other).write_text("git\n")
    tables, report = init(program, {})
    assert any(line.startswith(file) for line in left(report)), left(report)
    assert tables["python"] == "3.12"
    assert any(item["file"] == other for item in report["taken"])


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"envbuild.toml": "broken ["}, "envbuild.toml"),
        ({"pyproject.toml": "[tool.envbuild]\n"}, "pyproject.toml"),
    ],
)
def test_a_spec_is_never_overwritten(program: Program, files, name: str):
    write(files)
    answer = program("init")
    assert answer.code == 1
    assert f"{name} is there already" in answer.stderr
    assert {path.name: path.read_text() for path in program.folder.iterdir()} == files


def test_a_person_sees_what_was_taken_and_what_to_do(program: Program):
    write({"requirements.txt": "six\n-e .\n", ".python-version": "3.11\n"})
    answer = program("init")
    assert (answer.code, answer.stdout) == (0, "")
    assert answer.stderr.splitlines() == [
        "took  requirements.txt  1 requirement, written into the spec because of what is left out below",
        "took  .python-version   Python 3.11",
        "note: requirements.txt:2: `.` is the project itself: only what it requires is taken",
        "      mount your project into the container, or build on the image: `FROM` its tag",
        "wrote envbuild.toml",
    ]
    assert program.spec.read_text().startswith(
        "# Written by `envbuild init` from .python-version, requirements.txt.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--python", "3"), "--python: Python 3 is not supported"),
        (("--name", "A b"), "--name: `A b` cannot name an image"),
        (("nowhere",), "`nowhere` is not a folder"),
    ],
)
def test_a_wrong_command_line(program: Program, arguments, message: str):
    answer = program("init", *arguments)
    assert answer.code == 2
    assert message in answer.stderr
    assert list(program.folder.iterdir()) == []


def test_another_folder(program: Program):
    write({"There/requirements.txt": "six\n"})
    assert program("init", "There").code == 0
    assert tomllib.loads(Path("There/envbuild.toml").read_text())["name"] == "there"


@pytest.mark.property
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "requirements.txt",
                "pyproject.toml",
                "environment.yml",
                "apt.txt",
                ".python-version",
                "setup.py",
                "setup.cfg",
                "Pipfile",
                "Pipfile.lock",
                "uv.lock",
                "poetry.lock",
                "pdm.lock",
                "pylock.toml",
                "settings.ini",
                "tox.ini",
                "noxfile.py",
                "script.py",
            ]
        ),
        st.binary(max_size=40)
        | st.text("[]{}\"'=:-\n, #@/.azAZ019<>~", max_size=60).map(str.encode)
        | st.sampled_from([PROJECT.encode(), ENVIRONMENT.encode()]),
    )
)
def test_no_content_of_the_files_ends_in_a_traceback(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    found = discover(tmp_path, DiscoveryOptions(wanted=RequirementLists(all_extras=True, all_groups=True)))
    assert not found.tables or {"name", "python"} <= set(found.tables)
    for name in files:
        (tmp_path / name).unlink()
