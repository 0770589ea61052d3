"""setup.cfg, Pipfile, settings.ini, scripts, and tables that one tool knows."""

import tomllib
from textwrap import dedent

import pytest

from envbuild.errors import Problem
from envbuild.spec.foreign.target_markers import targets_of
from envbuild.spec.manifests.content import UnusableRequirement
from envbuild.spec.manifests.poetry_versions import poetry_specifiers, python_marker
from envbuild.spec.manifests.read import is_manifest, read_manifest, split_extras
from envbuild.spec.manifests.tool_tables import standard_tables
from envbuild.spec.manifests.uv_sources import SourceChoices, read_uv_sources
from envbuild.spec.problems import RefusedError


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("^1.2.3", (">=1.2.3,<2.0.0",)),
        ("^1.2", (">=1.2,<2.0",)),
        ("^1", (">=1,<2.0",)),
        ("^0.2.3", (">=0.2.3,<0.3.0",)),
        ("^0.0.3", (">=0.0.3,<0.0.4",)),
        ("^0.0", (">=0.0,<0.1",)),
        ("~1.2.3", (">=1.2.3,<1.3.0",)),
        ("~1.2", (">=1.2,<1.3",)),
        ("~1", (">=1,<2.0",)),
        ("~=1.4", ("~=1.4",)),
        ("1.2.*", ("==1.2.*",)),
        ("1.2", ("==1.2",)),
        ("= 1.2", ("==1.2",)),
        ("*", ("",)),
        (">=1.2 <2", (">=1.2,<2",)),
        (">=1.2, !=1.5, <2", (">=1.2,!=1.5,<2",)),
        ("^1.0 || ^2.0", (">=1.0,<2.0", ">=2.0,<3.0")),
        ("<3 | >=4", ("<3", ">=4")),
    ],
)
def test_version_constraints_of_poetry(written: str, expected: tuple[str, ...]) -> None:
    assert poetry_specifiers(written) == expected


@pytest.mark.parametrize("written", ["^a", "!!", ">=", "1.2 and 3", "^" + "1." * 600])
def test_what_is_no_constraint_is_refused(written: str) -> None:
    with pytest.raises(RefusedError, match="not a version constraint"):
        poetry_specifiers(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("*", ""),
        (">=3.9", 'python_version >= "3.9"'),
        ("^3.9", 'python_version >= "3.9" and python_version < "4.0"'),
        (">=3.8.1,<3.12", 'python_full_version >= "3.8.1" and python_version < "3.12"'),
        ("3.11.*", 'python_version == "3.11"'),
        ("<3.9 || >=3.11", '(python_version < "3.9") or (python_version >= "3.11")'),
    ],
)
def test_pythons_of_poetry_as_markers(written: str, expected: str) -> None:
    assert python_marker(written) == expected


POETRY = """
[tool.poetry]
name = "app"
[tool.poetry.dependencies]
python = "^3.9"
fastapi = "^0.110"
uvicorn = {extras = ["standard"], version = "*", platform = "linux"}
numpy = [{version = "^1.24", python = "<3.12"}, {version = "^1.26", python = ">=3.12"}]
psycopg2 = {version = "*", optional = true, markers = "os_name == 'posix'"}
lib = {git = "https://git.example.com/lib.git", tag = "v1", subdirectory = "py"}
whole = {url = "https://files.example.com/whole-1-py3-none-any.whl"}
mine = {path = "../mine", develop = true}
odd = {version = "1", colour = "red"}
wrong = 3
[tool.poetry.extras]
db = ["psycopg2"]
[tool.poetry.group.test.dependencies]
pytest = "^8"
"""


def test_tables_of_poetry_in_the_standard_s_words() -> None:
    standard = standard_tables(tomllib.loads(POETRY))

    usable = [item for item in standard["project"]["dependencies"] if isinstance(item, str)]
    refused = [item for item in standard["project"]["dependencies"] if isinstance(item, UnusableRequirement)]
    assert usable == [
        "fastapi>=0.110,<0.111",
        'uvicorn[standard] ; sys_platform == "linux"',
        'numpy>=1.24,<2.0 ; python_version < "3.12"',
        'numpy>=1.26,<2.0 ; python_version >= "3.12"',
        "lib @ git+https://git.example.com/lib.git@v1#subdirectory=py",
        "whole @ https://files.example.com/whole-1-py3-none-any.whl",
    ]
    assert [(item.where, item.error.message) for item in refused] == [
        ("pyproject.toml: tool.poetry.dependencies.mine", "`mine` is asked for by path"),
        ("pyproject.toml: tool.poetry.dependencies.odd", "`colour` is not known"),
        ("pyproject.toml: tool.poetry.dependencies.wrong", "must be a version or a table, not a number"),
    ]
    assert standard["project"]["optional-dependencies"] == {"db": ["psycopg2 ; os_name == 'posix'"]}
    assert standard["dependency-groups"] == {"test": ["pytest>=8,<9.0"]}


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ('[tool.uv]\ndev-dependencies = ["pytest"]', {"dev": ["pytest"]}),
        ('[tool.pdm.dev-dependencies]\ntest = ["pytest"]', {"test": ["pytest"]}),
        (
            '[tool.hatch.envs.docs]\ndependencies = ["mkdocs"]\nextra-dependencies = ["x"]',
            {"docs": ["mkdocs", "x"]},
        ),
        ('[tool.poetry.dev-dependencies]\npytest = "*"', {"dev": ["pytest"]}),
        ('[dependency-groups]\nDev = ["a"]\n[tool.uv]\ndev-dependencies = ["b"]', {"Dev": ["a", "b"]}),
    ],
)
def test_groups_that_one_tool_knows(text: str, groups: dict[str, list[str]]) -> None:
    assert standard_tables(tomllib.loads(text))["dependency-groups"] == groups


def test_old_metadata_of_flit() -> None:
    text = '[tool.flit.metadata]\nmodule = "a"\nrequires = ["six"]\nrequires-extra = {x = ["b"]}'

    assert standard_tables(tomllib.loads(text))["project"] == {
        "name": "a",
        "dependencies": ["six"],
        "optional-dependencies": {"x": ["b"]},
    }


def test_what_the_standard_tables_say_stays() -> None:
    text = '[project]\nname = "a"\ndependencies = ["six"]\n[tool.poetry.dependencies]\nattrs = "*"'

    assert standard_tables(tomllib.loads(text))["project"]["dependencies"] == ["six"]


SOURCES = """
[tool.uv.sources]
torch = [
  { index = "cpu", extra = "cpu" },
  { index = "cuda", extra = "gpu", marker = "sys_platform == 'linux'" },
  { index = "mac", extra = "gpu", marker = "sys_platform == 'darwin'" },
]
lib = { git = "https://git.example.com/lib.git", rev = "abc", subdirectory = "py" }
file = { url = "https://files.example.com/file-1.whl" }
mine = { path = "../mine" }
both = [{ index = "a" }, { index = "b_2" }]
arm = [{ index = "a", marker = "platform_machine == 'x86_64'" }]
"""


@pytest.mark.parametrize(
    ("extras", "index"), [((), None), (("cpu",), "cpu"), (("gpu",), "cuda"), (("cpu", "gpu"), None)]
)
def test_sources_of_uv_are_chosen_by_marker_and_extra(extras: tuple[str, ...], index: str | None) -> None:
    choices = SourceChoices(targets_of("3.11", ["linux/amd64"]), extras)
    placed = read_uv_sources(tomllib.loads(SOURCES), choices)

    assert placed.indexes.get("torch") == index
    assert ("torch" in placed.refused) is (len(extras) > 1)
    assert placed.addresses == {
        "lib": "git+https://git.example.com/lib.git@abc#subdirectory=py",
        "file": "https://files.example.com/file-1.whl",
    }


def test_sources_of_uv_that_nobody_can_choose_between_say_what_to_write() -> None:
    choices = SourceChoices(targets_of("3.11", ["linux/amd64", "linux/arm64"]))
    refused = read_uv_sources(tomllib.loads(SOURCES), choices).refused

    assert (refused["both"].message, refused["both"].hint) == (
        "`both` has several sources that hold at once: [tool.uv.sources] of `pyproject.toml`",
        'choose in [pip], or in one variant each: sources = { both = "a" } or sources = { both = "b-2" }',
    )
    assert refused["arm"].message.startswith("`arm` has another source on each platform")


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        pytest.param(
            "setup.cfg",
            """
            [metadata]
            name = pkg
            [options]
            python_requires = >=3.8
            install_requires =
                numpy>=1.20,<3  # fast
                # nothing
                scipy ; python_version >= "3.9"
            """,
            [("setup.cfg:7", "numpy>=1.20,<3"), ("setup.cfg:9", 'scipy ; python_version >= "3.9"')],
            id="setup.cfg",
        ),
        pytest.param(
            "Pipfile",
            """
            [packages]
            flask = "*"
            requests = {version = ">=2", extras = ["socks"]}
            colorama = {version = "*", sys_platform = "== 'win32'"}
            [dev-packages]
            pytest = "*"
            """,
            [
                ("Pipfile: packages.flask", "flask"),
                ("Pipfile: packages.requests", "requests[socks]>=2"),
                ("Pipfile: packages.colorama", "colorama ; sys_platform == 'win32'"),
            ],
            id="Pipfile",
        ),
        pytest.param(
            "settings.ini",
            """
            [DEFAULT]
            requirements = fastcore>=1.5,<2 numpy
            pip_requirements = torch>=1
            """,
            [
                ("settings.ini: requirements", "fastcore>=1.5,<2"),
                ("settings.ini: requirements", "numpy"),
                ("settings.ini: pip_requirements", "torch>=1"),
            ],
            id="settings.ini",
        ),
        pytest.param(
            "train.py",
            """
            #!/usr/bin/env python
            # /// script
            # requires-python = ">=3.11"
            # dependencies = [
            #   "requests<3",
            # ]
            # ///
            import requests
            """,
            [("train.py:6", "requests<3")],
            id="a script",
        ),
    ],
)
def test_requirements_and_where_they_are_written(file: str, text: str, expected) -> None:
    content = read_manifest(dedent(text), file)

    assert content.problems == []
    assert [(item.where, str(item)) for item in content.dependencies] == expected


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("setup.cfg", "x\n", Problem("setup.cfg:1", "is not an INI file")),
        ("settings.ini", "x\n", Problem("settings.ini:1", "is not an INI file")),
        ("Pipfile", "[packages\n", Problem("Pipfile:1", "expected ']' at the end of a table declaration")),
        ("a.py", "x\n", Problem("a.py", "has no block `# /// script`")),
        ("a.py", "# /// script\n# x = 1\n", Problem("a.py:1", "its block does not end with `# ///`")),
        (
            "a.py",
            "# /// script\n# ///\n\n# /// script\n# ///\n",
            Problem("a.py", "has 2 blocks `# /// script`"),
        ),
        ("a.py", "# /// script\n# x =\n# ///\n", Problem("a.py:2", "invalid value")),
        (
            "a.py",
            '# /// script\n# dependencies = "six"\n# ///\n',
            Problem("a.py: dependencies", "must be a list of requirements"),
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(file: str, text: str, problem: Problem) -> None:
    (found,) = read_manifest(text, file).problems

    assert (found.where, found.message) == (problem.where, problem.message)


def test_extras_and_groups_stand_in_brackets() -> None:
    assert split_extras("a/setup.py[dev, test]") == ("a/setup.py", ("dev", "test"))
    assert split_extras("setup.cfg") == ("setup.cfg", ())
    assert is_manifest("Pipfile[dev]")
    assert not is_manifest("requirements.txt")
