"""[pip] of a spec and the files it names: manifests, locks of other tools, indexes of their own."""

from typing import TYPE_CHECKING

import pytest

from envbuild.errors import Problem

if TYPE_CHECKING:
    from tests.unit.spec.conftest import Ask, Refuse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
POETRY = """
[tool.poetry]
name = "app"
[tool.poetry.dependencies]
python = "^3.9"
fastapi = "^0.110"
torch = {version = "~2.3", source = "own"}
[tool.poetry.group.test.dependencies]
pytest = "^8"
[[tool.poetry.source]]
name = "own"
url = "https://index.example.com/cpu"
"""
BOUND = 'indexes = { own = "https://index.example.com/cpu" }\nsources = { torch = "own" }\n'


def asked(ask: "Ask", pip: str, files: dict[str, str]):
    return ask(f"[pip]\n{pip}\n", files).variants["default"].pip


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("setup.cfg", "[options]\ninstall_requires = six\n[options.extras_require]\nx = attrs\n", ("six",)),
        ("setup.cfg[x]", "[options]\ninstall_requires = six\n[options.extras_require]\nx = attrs\n",
         ("attrs", "six")),
        ("setup.py", "from setuptools import setup\nsetup(install_requires=['Six>=1'])\n", ("six>=1",)),
        ("Pipfile[dev]", '[packages]\nsix = "*"\n[dev-packages]\nattrs = "*"\n', ("attrs", "six")),
        ("train.py", '# /// script\n# dependencies = ["six"]\n# ///\n', ("six",)),
    ],
)  # fmt: skip
def test_other_files_are_the_place_of_requirements(ask: "Ask", file, text, expected) -> None:
    pip = asked(ask, f'requirements = ["{file}"]', {file.partition("[")[0]: text})

    assert pip.requirements == expected


def test_a_setup_py_s_files_are_read_too(ask: "Ask") -> None:
    files = {
        "setup.py": "from setuptools import setup\nsetup(install_requires=open('r.txt').readlines())\n",
        "r.txt": "six  # a comment\n",
    }

    assert asked(ask, 'requirements = ["setup.py"]', files).requirements == ("six",)


def test_poetry_s_tables_are_the_project_s(ask: "Ask") -> None:
    pip = asked(ask, f'project = true\ngroups = ["test"]\n{BOUND}', {"pyproject.toml": POETRY})

    assert pip.requirements == ("fastapi<0.111,>=0.110", "pytest<9.0,>=8", "torch<2.4,>=2.3")
    assert pip.sources == {"torch": "own"}


def test_members_of_a_workspace_stand_for_what_they_require(ask: "Ask") -> None:
    files = {
        "pyproject.toml": '[project]\nname = "root"\ndependencies = ["alpha", "httpx"]\n'
        '[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/old"]\n'
        "[tool.uv.sources]\nalpha = {workspace = true}\n",
        "packages/alpha/pyproject.toml": '[project]\nname = "alpha"\ndependencies = ["numpy", "beta[x]"]\n',
        "packages/beta/pyproject.toml": '[project]\nname = "beta"\ndependencies = ["six", "alpha"]\n'
        '[project.optional-dependencies]\nx = ["attrs"]\n',
        "packages/old/pyproject.toml": "[project\n",
    }

    assert asked(ask, "project = true", files).requirements == ("attrs", "httpx", "numpy", "six")


def test_what_uv_bounds_is_bounded(ask: "Ask") -> None:
    text = (
        '[project]\nname = "a"\ndependencies = ["six"]\n[tool.uv]\nconstraint-dependencies = ["attrs<25"]\n'
    )

    assert asked(ask, "project = true", {"pyproject.toml": text}).constraints == ("attrs<25",)


def test_what_uv_takes_from_a_repository_comes_from_there(ask: "Ask") -> None:
    text = (
        '[project]\nname = "a"\ndependencies = ["clip[x]; python_version >= \'3\'"]\n'
        '[tool.uv.sources]\nclip = {git = "https://git.example.com/clip.git", rev = "v1"}\n'
    )

    assert asked(ask, "project = true", {"pyproject.toml": text}).requirements == (
        'clip[x] @ git+https://git.example.com/clip.git@v1 ; python_version >= "3"',
    )


PDM_LOCK = f"""\
[[package]]
name = "six"
version = "1.16.0"
[[package]]
name = "clip"
version = "1.0"
git = "https://git.example.com/clip.git"
revision = "{COMMIT}"
[[package]]
name = "tomli"
version = "2.0.1"
marker = "python_version < '3.11'"
"""


def test_a_lock_bounds_versions_and_says_where_packages_come_from(ask: "Ask") -> None:
    pip = asked(ask, 'packages = ["six", "clip[x]"]\nlocks = ["pdm.lock"]', {"pdm.lock": PDM_LOCK})

    assert pip.requirements == (f"clip[x] @ git+https://git.example.com/clip.git@{COMMIT}", "six")
    assert pip.constraints == ("six==1.16.0",)


def test_a_lock_does_not_decide_what_is_unpinned(ask: "Ask") -> None:
    pip = asked(ask, 'packages = ["six"]\nlocks = ["pdm.lock"]\nunpinned = ["Six"]', {"pdm.lock": PDM_LOCK})

    assert pip.constraints == ()


def test_two_versions_are_no_problem_of_a_package_that_is_unpinned(ask: "Ask") -> None:
    text = 'version = 1\n[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "a"\nversion = "2"\n'

    assert asked(ask, 'locks = ["uv.lock"]\nunpinned = ["a"]', {"uv.lock": text}).constraints == ()


@pytest.mark.parametrize(
    ("pip", "files", "found"),
    [
        (
            'requirements = ["a.txt", "b.txt"]',
            {"a.txt": "six==1.16.0\n", "b.txt": "six==1.17.0\n"},
            [("b.txt", "`six==1.17.0` contradicts `six==1.16.0` of a.txt")],
        ),
        (
            'requirements = ["a.txt"]\nproject = true',
            {
                "a.txt": "six>=1.17\n",
                "pyproject.toml": '[project]\nname = "a"\ndependencies = ["six==1.16"]\n',
            },
            [("a.txt", "`six>=1.17` contradicts `six==1.16` of pyproject.toml")],
        ),
    ],
)
def test_files_that_exclude_each_other_are_both_named(refuse: "Refuse", pip, files, found) -> None:
    assert [(problem.where, problem.message) for problem in refuse(f"[pip]\n{pip}\n", files)] == found


def test_markers_may_keep_versions_apart(ask: "Ask") -> None:
    files = {
        "a.txt": "six==1.16; python_version < '3.11'\n",
        "b.txt": "six==1.17; python_version >= '3.11'\n",
    }

    assert len(asked(ask, 'requirements = ["a.txt", "b.txt"]', files).requirements) == 2


OWN_INDEX = """\
version = 1
[[package]]
name = "six"
version = "1"
source = { registry = "https://index.example.com/simple" }
[[package]]
name = "attrs"
version = "1"
source = { registry = "https://index.example.com/simple" }
[[package]]
name = "torch"
version = "2.7.0+cpu"
source = { registry = "https://me:s3cret@index.example.com/cpu" }
"""


def test_an_index_of_its_own_must_be_bound(ask: "Ask", refuse: "Refuse") -> None:
    files = {"uv.lock": OWN_INDEX}

    assert refuse('[pip]\nlocks = ["uv.lock"]\n', files) == (
        Problem(
            "uv.lock",
            "`torch` is from an index of its own",
            'write in [pip]: indexes = { own = "https://index.example.com/cpu" }, '
            'sources = { torch = "own" }',
        ),
    )
    assert "torch==2.7.0+cpu" in asked(ask, f'locks = ["uv.lock"]\n{BOUND}', files).constraints


@pytest.mark.parametrize(
    ("pip", "files", "problems"),
    [
        pytest.param(
            'requirements = ["setup.py"]',
            {},
            [("pip.requirements[0]", "`setup.py` does not exist")],
            id="no setup.py",
        ),
        pytest.param(
            'requirements = ["setup.cfg[y]"]',
            {"setup.cfg": "[options.extras_require]\nx = six\n"},
            [("pip.requirements[0]", "it has no extra `y`")],
            id="no such extra",
        ),
        pytest.param(
            'requirements = ["setup.cfg"]',
            {"setup.cfg": "[options]\ninstall_requires =\n  a b\n"},
            [("setup.cfg:3", "`a b` is not a requirement: ")],
            id="no requirement",
        ),
        pytest.param(
            'requirements = ["setup.py"]',
            {"setup.py": "from x import setup\nsetup(install_requires=f())"},
            [("setup.py:2", "install_requires cannot be told without running it: `f()`")],
            id="unknown",
        ),
        pytest.param(
            "project = true",
            {"pyproject.toml": POETRY},
            [("pyproject.toml: tool.poetry.dependencies.torch", "`torch` is from an index of its own")],
            id="an index of Poetry's",
        ),
        pytest.param(
            'requirements = ["Pipfile"]',
            {
                "Pipfile": '[[source]]\nname = "a"\nurl = "https://a.example"\n'
                '[[source]]\nname = "b"\nurl = "https://b.example"\n[packages]\n'
                'six = {version = "*", index = "b"}\n'
            },
            [("Pipfile: packages.six", "`six` is from an index of its own")],
            id="an index of Pipenv's",
        ),
        pytest.param('locks = ["uv.lock"]', {}, [("pip.locks[0]", "`uv.lock` does not exist")], id="no lock"),
        pytest.param('locks = ["uv.lock"]', {"uv.lock": "x"}, [("uv.lock:1", "")], id="a broken lock"),
        pytest.param(
            'locks = ["x.lock"]',
            {"x.lock": "x"},
            [("x.lock", "is no lock of a known tool")],
            id="another lock",
        ),
        pytest.param(
            "project = true",
            {"pyproject.toml": '[project]\nname = "a"\n[tool.uv]\nconstraint-dependencies = ["a b"]\n'},
            [("pyproject.toml: tool.uv.constraint-dependencies[0]", "`a b` is not a requirement: ")],
            id="a bad bound",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(refuse: "Refuse", pip, files, problems) -> None:
    found = refuse(f"[pip]\n{pip}\n", files)

    assert [problem.where for problem in found] == [where for where, _ in problems]
    assert all(
        problem.message.startswith(message) for problem, (_, message) in zip(found, problems, strict=True)
    )
