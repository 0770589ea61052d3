"""Which versions each format of lock means, on which target, and what is said of what cannot be read."""

import pytest

from envbuild.errors import Problem
from envbuild.spec.foreign.pins import decide
from envbuild.spec.foreign.read import is_foreign_lock, read_foreign_lock
from envbuild.spec.foreign.target_markers import MarkerTarget, targets_of
from envbuild.spec.foreign.uv_lock import conflict_extras

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def decided(text: str, file: str, python: str = "3.11", *extras: str):
    lock = read_foreign_lock(text, file)
    assert lock.problems == []
    found = decide(lock, targets_of(python, ("linux/amd64", "linux/arm64"), extras), file)
    assert found.problems == []
    return found


def pins(text: str, file: str, python: str = "3.11", *extras: str) -> list[str]:
    return [pin for texts in decided(text, file, python, *extras).constraints.values() for pin in texts]


UV = """\
version = 1
requires-python = ">=3.10"
resolution-markers = ["python_full_version >= '3.12'", "python_full_version < '3.12'"]
[[package]]
name = "proj"
version = "0.1"
source = { virtual = "." }
dependencies = [
  { name = "numpy", version = "1.26.4", marker = "python_full_version < '3.12'" },
  { name = "numpy", version = "2.2.0", marker = "python_full_version >= '3.12'" },
]
[package.optional-dependencies]
cpu = [{ name = "torch", version = "2.7.0+cpu", marker = "extra == 'extra-4-proj-cpu'" }]
gpu = [{ name = "torch", version = "2.7.0+cu128", marker = "extra == 'extra-4-proj-gpu'" }]
[package.metadata]
requires-dist = [{ name = "numpy", specifier = ">=1" }, { name = "torch", marker = "extra == 'cpu'" }]
[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://index.example.com" }
resolution-markers = ["python_full_version < '3.12'"]
[[package]]
name = "numpy"
version = "2.2.0"
source = { registry = "https://index.example.com" }
resolution-markers = ["python_full_version >= '3.12'"]
[[package]]
name = "torch"
version = "2.7.0+cpu"
source = { registry = "https://me:s3cret@index.example.com/cpu" }
[[package]]
name = "torch"
version = "2.7.0+cu128"
source = { registry = "https://index.example.com/cu128" }
[[package]]
name = "six"
version = "1.17.0"
source = { registry = "https://index.example.com" }
"""


@pytest.mark.parametrize(
    ("python", "extras", "expected"),
    [
        pytest.param("3.11", (), ["numpy==1.26.4", "six==1.17.0"], id="a fork by Python"),
        pytest.param("3.13", (), ["numpy==2.2.0", "six==1.17.0"], id="the other fork"),
        pytest.param("3.13", ("cpu",), ["numpy==2.2.0", "six==1.17.0", "torch==2.7.0+cpu"], id="by an extra"),
        pytest.param(
            "3.13", ("gpu",), ["numpy==2.2.0", "six==1.17.0", "torch==2.7.0+cu128"], id="by the other"
        ),
    ],
)
def test_forks_of_uv(python: str, extras: tuple[str, ...], expected: list[str]) -> None:
    assert pins(UV, "uv.lock", python, *conflict_extras("proj", list(extras), [])) == expected


def test_an_index_of_its_own_is_told_without_credentials() -> None:
    found = decided(UV, "uv.lock", "3.13", *conflict_extras("proj", ["cpu"], []))

    assert found.indexes == {"torch": "https://index.example.com/cpu"}


def test_a_lock_of_uv_says_what_it_was_made_for() -> None:
    lock = read_foreign_lock(UV, "uv.lock")

    assert (lock.project, lock.roots, lock.pythons) == ("proj", ["numpy>=1"], [(">=3.10", True)])


GIT_UV = f"""\
version = 1
[[package]]
name = "clip"
version = "1.0"
source = {{ git = "https://git.example.com/a/clip.git?subdirectory=py&rev=main#{COMMIT}" }}
[[package]]
name = "wheel-of"
version = "2"
source = {{ url = "https://files.example.com/wheel_of-2-py3-none-any.whl" }}
"""
POETRY = f"""\
[[package]]
name = "Flask"
version = "3.0.2"
optional = false
python-versions = ">=3.8"
groups = ["main"]
[[package]]
name = "pywin32"
version = "306"
optional = false
python-versions = "*"
groups = ["main"]
markers = "platform_system == \\"Windows\\""
[[package]]
name = "nvidia-x"
version = "1"
optional = false
python-versions = "*"
groups = ["main", "dev"]
markers = {{main = "platform_machine == \\"x86_64\\"", dev = "sys_platform == \\"win32\\""}}
[[package]]
name = "clip"
version = "1.0"
optional = false
python-versions = "*"
[package.source]
type = "git"
url = "https://git.example.com/a/clip.git"
reference = "main"
resolved_reference = "{COMMIT}"
subdirectory = "py"
[[package]]
name = "torch"
version = "2.3.0+cpu"
optional = false
python-versions = "*"
[package.source]
type = "legacy"
url = "https://index.example.com/cpu"
reference = "own"
[[package]]
name = "mine"
version = "0"
optional = false
python-versions = "*"
[package.source]
type = "directory"
url = "../mine"
[metadata]
lock-version = "2.1"
python-versions = ">=3.9,<3.13 || >3.13"
"""
PDM = f"""\
[metadata]
lock_version = "4.5.0"
[[metadata.targets]]
requires_python = ">=3.9"
[[package]]
name = "httpx"
version = "0.27.0"
[[package]]
name = "httpx"
version = "0.27.0"
extras = ["http2"]
[[package]]
name = "tomli"
version = "2.0.1"
marker = "python_version < \\"3.11\\""
[[package]]
name = "clip"
version = "1.0"
git = "git@git.example.com:a/clip.git"
revision = "{COMMIT}"
[[package]]
name = "mine"
version = "0"
path = "./mine"
"""
PIPFILE = f"""\
{{"_meta": {{"requires": {{"python_version": "3.11"}}, "sources": [
   {{"name": "main", "url": "https://index.example.com/simple"}},
   {{"name": "own", "url": "https://own.example.com/simple"}}]}},
 "default": {{"flask": {{"version": "==3.0.2", "index": "main"}},
   "secret-thing": {{"version": "==1.0", "index": "own"}},
   "colorama": {{"version": "==0.4.6", "markers": "sys_platform == 'win32'"}},
   "clip": {{"git": "https://git.example.com/a/clip.git", "ref": "{COMMIT}"}},
   "mine": {{"path": ".", "editable": true}}}},
 "develop": {{"pytest": {{"version": "==8.0.0"}}, "flask": {{"version": "==3.0.2", "index": "main"}}}}}}
"""
PYLOCK = f"""\
lock-version = "1.0"
requires-python = ">=3.11"
[[packages]]
name = "attrs"
version = "25.1.0"
[[packages]]
name = "tomli"
version = "2"
marker = "python_version < '3.11'"
[[packages]]
name = "clip"
vcs = {{ type = "git", url = "https://git.example.com/a/clip.git", commit-id = "{COMMIT}" }}
[[packages]]
name = "archived"
archive = {{ url = "https://files.example.com/archived-1.tar.gz", hashes = {{}} }}
[[packages]]
name = "mine"
directory = {{ path = "." }}
"""
EXPORT = """\
# This file was autogenerated by uv via the following command:
#    uv pip compile --python-version 3.11 requirements.in
--index-url https://index.example.com/simple
-e file:.
six==1.17.0 \\
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274
tomli==2.0.1 ; python_version < "3.11"
wheel-of @ https://files.example.com/wheel_of-2-py3-none-any.whl
"""


@pytest.mark.parametrize(
    ("file", "text", "expected", "addresses"),
    [
        pytest.param(
            "uv.lock",
            GIT_UV,
            [],
            {
                "clip": [(f"git+https://git.example.com/a/clip.git@{COMMIT}#subdirectory=py", "")],
                "wheel-of": [("https://files.example.com/wheel_of-2-py3-none-any.whl", "")],
            },
            id="uv",
        ),
        pytest.param(
            "poetry.lock",
            POETRY,
            ["flask==3.0.2", 'nvidia-x==1 ; platform_machine == "x86_64"', "torch==2.3.0+cpu"],
            {"clip": [(f"git+https://git.example.com/a/clip.git@{COMMIT}#subdirectory=py", "")]},
            id="poetry",
        ),
        pytest.param(
            "pdm.lock",
            PDM,
            ["httpx==0.27.0"],
            {"clip": [(f"git+ssh://git@git.example.com/a/clip.git@{COMMIT}", "")]},
            id="pdm",
        ),
        pytest.param(
            "Pipfile.lock",
            PIPFILE,
            ["flask==3.0.2", "pytest==8.0.0", "secret-thing==1.0"],
            {"clip": [(f"git+https://git.example.com/a/clip.git@{COMMIT}", "")]},
            id="pipenv",
        ),
        pytest.param(
            "pylock.toml",
            PYLOCK,
            ["attrs==25.1.0"],
            {
                "archived": [("https://files.example.com/archived-1.tar.gz", "")],
                "clip": [(f"git+https://git.example.com/a/clip.git@{COMMIT}", "")],
            },
            id="pylock",
        ),
        pytest.param(
            "requirements.txt",
            EXPORT,
            ["six==1.17.0"],
            {"wheel-of": [("https://files.example.com/wheel_of-2-py3-none-any.whl", "")]},
            id="requirements",
        ),
    ],
)
def test_pins_of_each_format(file: str, text: str, expected: list[str], addresses) -> None:
    found = decided(text, file)

    assert [pin for texts in found.constraints.values() for pin in texts] == expected
    assert found.addresses == addresses


PIP_COMPILE = "# This file is autogenerated by pip-compile with Python"


@pytest.mark.parametrize(
    ("file", "text", "pythons"),
    [
        ("poetry.lock", POETRY, [(">=3.9,<3.13|>3.13", True)]),
        ("pdm.lock", PDM, [(">=3.9", True)]),
        ("Pipfile.lock", PIPFILE, [("3.11", False)]),
        ("pylock.toml", PYLOCK, [(">=3.11", True)]),
        ("requirements.txt", EXPORT, [("3.11", False)]),
        (
            "requirements.txt",
            "# This file is autogenerated by pip-compile with Python 3.9\n",
            [("3.9", False)],
        ),
        ("requirements.txt", "six==1\n", []),
    ],
)
def test_a_lock_says_which_python(file: str, text: str, pythons: list[tuple[str, bool]]) -> None:
    assert read_foreign_lock(text, file).pythons == pythons


OLD_POETRY = """\
[[package]]
name = "importlib-metadata"
version = "6.0"
optional = false
python-versions = ">=3.7"
[[package]]
name = "importlib-metadata"
version = "8.0"
optional = false
python-versions = ">=3.12"
[[package]]
name = "user"
version = "1"
optional = false
python-versions = "*"
[package.dependencies]
importlib-metadata = {version = ">=4", markers = "python_version < \\"3.13\\""}
"""


@pytest.mark.parametrize(("python", "version"), [("3.11", "6.0"), ("3.12", "8.0")])
def test_an_old_lock_of_poetry_is_chosen_from_by_python(python: str, version: str) -> None:
    assert f"importlib-metadata=={version}" in pins(OLD_POETRY, "poetry.lock", python)


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("uv.lock", "version = 1\nx\n", Problem("uv.lock:2", "expected '=' after a key in a key/value pair")),
        ("uv.lock", "version = 9\n", Problem("uv.lock: version", "only version 1 of the format is known")),
        ("uv.lock", "version = 1\npackage = 3\n", Problem("uv.lock: package", "must be an array of tables")),
        (
            "uv.lock",
            'version = 1\n[[package]]\nname = "a"\nversion = "x y"\n',
            Problem("uv.lock: package[0]", "has no version"),
        ),
        (
            "uv.lock",
            'version = 1\n[[package]]\nname = "a"\nversion = "1"\nsource = {git = "https://h/x"}\n',
            Problem("uv.lock: package[0]", "is from a repository, without its commit"),
        ),
        (
            "uv.lock",
            'version = 1\n[[package]]\nname = "a"\nsource = {url = ""}\n',
            Problem("uv.lock: package[0]", "has neither a version nor an address"),
        ),
        (
            "poetry.lock",
            "[[package]]\nversion = '1'\n",
            Problem("poetry.lock: package[0]", "names no package"),
        ),
        ("pdm.lock", "[[package]]\nname = 3\n", Problem("pdm.lock: package[0]", "names no package")),
        ("Pipfile.lock", "{\n,", Problem("Pipfile.lock:2", "is not JSON")),
        ("Pipfile.lock", "[]", Problem("Pipfile.lock", "is not a Pipfile.lock")),
        ("Pipfile.lock", '{"default": {"a": 1}}', Problem("Pipfile.lock: default.a", "is not a package")),
        ("Pipfile.lock", '{"default": {"a": {}}}', Problem("Pipfile.lock: default.a", "has no version")),
        ("pylock.toml", "", Problem("pylock.toml: lock-version", "only version 1 of the format is known")),
        (
            "pylock.toml",
            'lock-version = "1.0"\n[[packages]]\nname = "a"\n',
            Problem("pylock.toml: packages[0]", "has neither a version nor an address"),
        ),
        (
            "requirements.txt",
            "six>=1\n",
            Problem(
                "requirements.txt:1",
                "`six` is not pinned",
                "name the file in [pip] constraints to bound versions",
            ),
        ),
        ("requirements.txt", "a b c\n", Problem("requirements.txt:1", "is not a pinned requirement")),
        (
            "other.lock",
            "",
            Problem(
                "other.lock",
                "is no lock of a known tool",
                "it can be uv.lock, poetry.lock, pdm.lock, Pipfile.lock, pylock.toml, or a requirements file "
                "with pins",
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_lock_is_said_with_its_place(file: str, text: str, problem: Problem) -> None:
    assert read_foreign_lock(text, file).problems == [problem]


def test_a_version_nobody_can_tell_is_a_problem() -> None:
    text = 'version = 1\n[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "a"\nversion = "2"\n'
    found = decide(read_foreign_lock(text, "uv.lock"), targets_of("3.11", ["linux/amd64"]), "uv.lock")

    assert found.problems == [
        Problem(
            "uv.lock",
            "`a` is there as 1 and 2, and nothing says which is meant for Python 3.11",
            'ask for one of them in [pip] packages, and let the lock not decide: unpinned = ["a"]',
        )
    ]


def test_a_marker_that_is_none_is_a_problem() -> None:
    text = '[[package]]\nname = "a"\nversion = "1"\nmarker = "no marker"\n'
    found = decide(read_foreign_lock(text, "pdm.lock"), targets_of("3.11", ["linux/amd64"]), "pdm.lock")

    assert found.problems == [Problem("pdm.lock", "`no marker` is not a marker")]


@pytest.mark.parametrize(
    ("marker", "extras", "expected"),
    [
        (None, (), True),
        ("sys_platform == 'linux' and platform_machine == 'x86_64'", (), True),
        ("sys_platform == 'darwin'", (), False),
        ("python_full_version < '3.11.4'", (), False),
        ("extra == 'a'", ("a",), True),
        ("extra == 'a'", (), False),
        ("extra != 'a'", (), True),
        ("extra == 'a' and extra == 'b'", ("a", "b"), True),
        ("'dev' in dependency_groups", ("dev",), True),
        ("'dev' not in dependency_groups", ("dev",), False),
    ],
)
def test_where_markers_hold(marker: str | None, extras: tuple[str, ...], expected: bool) -> None:
    assert MarkerTarget("3.11", "linux/amd64", frozenset(extras)).holds(marker) is expected


@pytest.mark.parametrize("file", ["uv.lock", "a/Pipfile.lock", "pylock.gpu.toml", "x.txt"])
def test_locks_are_known_by_their_names(file: str) -> None:
    assert is_foreign_lock(file)
    assert not is_foreign_lock(f"{file}.old")
