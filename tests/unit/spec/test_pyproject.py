from typing import TYPE_CHECKING

import pytest

from envbuild.errors import Problem

if TYPE_CHECKING:
    from tests.unit.spec.conftest import Ask, Refuse

PROJECT = """
[project]
name = "Train_Me"
dependencies = ["httpx>=0.27", "tomli; python_version < '3.11'"]

[project.optional-dependencies]
fit = ["lightgbm"]
Plot_2 = ["matplotlib; os_name == 'posix' or os_name == 'nt'"]
all = ["train-me[fit,plot-2]; sys_platform == 'linux'"]
loop = ["train.me[loop,fit]"]

[dependency-groups]
Test = ["pytest>=8", { include-group = "cov" }]
cov = ["coverage[toml]"]
docs = ["sphinx", "train-me[fit]"]
"""


def requirements(ask: "Ask", pip: str, project: str = PROJECT) -> tuple[str, ...]:
    return ask(f"[pip]\n{pip}\n", {"pyproject.toml": project}).variants["default"].pip.requirements


@pytest.mark.parametrize(
    ("pip", "wanted"),
    [
        ("project = true", ("httpx>=0.27", 'tomli; python_version < "3.11"')),
        ('extras = ["fit"]', ("lightgbm",)),
        ('extras = ["plot_2"]', ('matplotlib; os_name == "posix" or os_name == "nt"',)),
        ('groups = ["test"]', ("coverage[toml]", "pytest>=8")),
        ('groups = ["cov"]\npackages = ["numpy"]', ("coverage[toml]", "numpy")),
    ],
)
def test_what_a_project_names(ask: "Ask", pip: str, wanted: tuple[str, ...]) -> None:
    assert requirements(ask, pip) == wanted


def test_the_project_s_own_name_stands_for_what_it_requires(ask: "Ask") -> None:
    assert requirements(ask, 'groups = ["docs"]') == (
        "httpx>=0.27",
        "lightgbm",
        "sphinx",
        'tomli; python_version < "3.11"',
    )


def test_a_marker_on_the_project_s_own_name_holds_for_all_it_stands_for(ask: "Ask") -> None:
    assert requirements(ask, 'extras = ["all"]') == (
        'httpx>=0.27; sys_platform == "linux"',
        'lightgbm; sys_platform == "linux"',
        'matplotlib; (os_name == "posix" or os_name == "nt") and sys_platform == "linux"',
        'tomli; python_version < "3.11" and sys_platform == "linux"',
    )


def test_an_extra_that_names_itself_ends(ask: "Ask") -> None:
    assert requirements(ask, 'extras = ["loop"]') == (
        "httpx>=0.27",
        "lightgbm",
        'tomli; python_version < "3.11"',
    )


@pytest.mark.parametrize(
    ("pip", "project", "problems"),
    [
        pytest.param(
            "project = true", None, [Problem("pip.project", "`pyproject.toml` does not exist")], id="no file"
        ),
        pytest.param(
            'extras = ["a"]',
            None,
            [Problem("pip.extras[0]", "`pyproject.toml` does not exist")],
            id="no file, extra",
        ),
        pytest.param(
            "project = true",
            "x = \n",
            [Problem("pyproject.toml:1", "invalid value")],
            id="not TOML",
        ),
        pytest.param(
            "project = true",
            "x = " + "[" * 5000,
            [Problem("pyproject.toml", "`pyproject.toml` is not TOML anybody would write")],
            id="odd TOML",
        ),
        pytest.param(
            'project = true\nextras = ["a"]\ngroups = ["b"]',
            "",
            [
                Problem("pip.project", "`pyproject.toml` has no [project]"),
                Problem("pip.extras[0]", "`pyproject.toml` has no [project]"),
                Problem("pip.groups[0]", "`pyproject.toml` has no [dependency-groups]"),
            ],
            id="no tables",
        ),
        pytest.param(
            'extras = ["fti"]\ngroups = ["zzz"]',
            PROJECT,
            [
                Problem(
                    "pip.extras[0]",
                    "`pyproject.toml` has no extra `fti` in [project.optional-dependencies]",
                    "did you mean `fit`?",
                ),
                Problem(
                    "pip.groups[0]",
                    "`pyproject.toml` has no group `zzz` in [dependency-groups]",
                    "it has Test, cov, docs",
                ),
            ],
            id="no such names",
        ),
        pytest.param(
            'groups = ["x"]',
            "[dependency-groups]\n",
            [Problem("pip.groups[0]", "`pyproject.toml` has no group `x` in [dependency-groups]")],
            id="no names at all",
        ),
        pytest.param(
            'groups = ["a"]',
            "[dependency-groups]\na = []\nA = []\n",
            [Problem("pip.groups[0]", "`pyproject.toml` has group `a` 2 times in different spellings")],
            id="one name twice",
        ),
        pytest.param(
            'groups = ["a"]',
            '[dependency-groups]\na = [{ include-group = "b" }]\nb = [{ include-group = "A" }]\n',
            [Problem("pyproject.toml: dependency-groups.b[0]", "group `A` includes itself")],
            id="a cycle",
        ),
        pytest.param(
            'groups = ["a"]',
            '[dependency-groups]\na = ["x=1", 3, { path = "." }, { include-group = "b" }]\nb = "x"\n',
            [
                Problem(
                    "pyproject.toml: dependency-groups.a[0]", "`x=1` is not a requirement", "write `x==1`"
                ),
                Problem("pyproject.toml: dependency-groups.a[1]", "must be a requirement, not a number"),
                Problem("pyproject.toml: dependency-groups.a[2]", "must be a requirement, not a table"),
                Problem("pyproject.toml: dependency-groups.b", "must be a list, not a string"),
            ],
            id="wrong items",
        ),
        pytest.param(
            "project = true",
            '[project]\ndynamic = ["dependencies"]\n',
            [
                Problem(
                    "pip.project",
                    "the dependencies of `pyproject.toml` are dynamic: only running its build tells them",
                    "list them in a requirements file and name that in [pip] requirements",
                )
            ],
            id="dynamic",
        ),
        pytest.param(
            'extras = ["a"]',
            '[project]\nname = 3\n[project.optional-dependencies]\na = [{ include-group = "b" }]\n',
            [
                Problem(
                    "pyproject.toml: project.optional-dependencies.a[0]", "must be a requirement, not a table"
                )
            ],
            id="a group in an extra",
        ),
        pytest.param(
            "project = true",
            '[project]\ndependencies = ["Our.Lib>=1", "shared", "inside", "torch", "httpx"]\n'
            "[tool.uv.sources]\n"
            'our-lib = { git = "https://git.example/lib", tag = "v1" }\n'
            "shared = [{ workspace = true }]\n"
            'inside = { index = "internal" }\n'
            'torch = [{ index = "cpu", marker = "sys_platform == \'darwin\'" }, { index = "cuda" }]\n',
            [
                Problem(
                    "pyproject.toml: project.dependencies[1]",
                    "`shared` is not from an index: [tool.uv.sources] of `pyproject.toml`",
                    "mount your project into the container, or build on the image: `FROM` its tag",
                ),
                Problem(
                    "pyproject.toml: project.dependencies[2]",
                    "`inside` is from the index `internal` alone: [tool.uv.sources] of `pyproject.toml`",
                    "name that index in [pip] indexes and bind the package to it in [pip] sources",
                ),
                Problem(
                    "pyproject.toml: project.dependencies[3]",
                    "`torch` is from the index `cuda` alone: [tool.uv.sources] of `pyproject.toml`",
                    "name that index in [pip] indexes and bind the package to it in [pip] sources",
                ),
            ],
            id="from elsewhere",
        ),
    ],
)
def test_what_is_wrong_with_it(
    refuse: "Refuse", pip: str, project: str | None, problems: list[Problem]
) -> None:
    files = {} if project is None else {"pyproject.toml": project}
    assert list(refuse(f"[pip]\n{pip}\n", files)) == problems


def test_what_the_spec_binds_to_an_index_may_come_from_elsewhere_in_the_project(ask: "Ask") -> None:
    project = """
[project]
dependencies = ["our-lib", "inside"]
[tool.uv.sources]
Our_Lib = { path = "../lib" }
inside = { index = "internal" }
"""
    bound = (
        'project = true\nsources = { our-lib = "team", inside = "team" }\n'
        'indexes = { team = "https://index.example/simple" }'
    )
    assert requirements(ask, bound, project) == ("inside", "our-lib")
