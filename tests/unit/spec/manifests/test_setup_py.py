"""What a setup.py gives without being run, and what is said of the rest."""

import pytest

from envbuild.errors import Problem
from envbuild.spec.manifests.content import ManifestContent, UnusableRequirement
from envbuild.spec.manifests.setup_py import read_setup_py

UNKNOWN = "install_requires cannot be told without running it"


def read(body: str, call: str = "setup(install_requires=wanted)") -> ManifestContent:
    return read_setup_py(f"from setuptools import setup\n{body}\n{call}\n", "setup.py")


def shown(content: ManifestContent) -> list[str]:
    return [
        f"{item.where}: {item.error.message}" if isinstance(item, UnusableRequirement) else str(item)
        for item in content.dependencies
    ] + content.files


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param('wanted = ["six", "attrs>=2"]', ["six", "attrs>=2"], id="a list"),
        pytest.param('wanted = ("six",) + ("attrs",)', ["six", "attrs"], id="tuples"),
        pytest.param('wanted = """\nsix\nattrs\n"""', ["six", "attrs"], id="lines of a text"),
        pytest.param('wanted = """six attrs""".split()', ["six", "attrs"], id="words of a text"),
        pytest.param('v = "2"\nwanted = [f"six=={v}", "a==%s" % v, "b=={}".format(v)]',
                     ["six==2", "a==2", "b==2"], id="formats"),
        pytest.param('wanted = ["six"]\nwanted += ["a"]\nwanted.append("b")\nwanted.extend(["c"])',
                     ["six", "a", "b", "c"], id="grown"),
        pytest.param('d = {"x": ["six"]}\nd["y"] = ["a"]\nd["y"] += ["b"]\nwanted = d["x"] + d["y"]',
                     ["six", "a", "b"], id="a dictionary"),
        pytest.param('base = ["a"]\nwanted = [*base, *(x for x in ["b", "c"] if x != "b")]', ["a", "c"],
                     id="unpacked"),
        pytest.param('import sys\nwanted = ["a"]\nif sys.version_info < (3, 8):\n    wanted.append("old")',
                     ["a"], id="a condition on Python"),
        pytest.param('import os\nwanted = ["a"] if os.environ.get("X") else ["b"]', ["b"], id="a variable"),
        pytest.param('def more(*names):\n    return [n + ">=1" for n in names]\nwanted = more("a", "b")',
                     ["a>=1", "b>=1"], id="a function"),
        pytest.param('wanted = open("r.txt").read().splitlines()', ["r.txt"], id="a file"),
        pytest.param('with open("reqs/base.txt") as f:\n    wanted = [x.strip() for x in f if x]',
                     ["reqs/base.txt"], id="a file's lines"),
        pytest.param('from pathlib import Path\nwanted = (Path(__file__).parent/"r.txt").read_text().split()',
                     ["r.txt"], id="a path"),
        pytest.param('import os\nhere = os.path.abspath(os.path.dirname(__file__))\n'
                     'wanted = open(os.path.join(here, "r.txt")).readlines()', ["r.txt"], id="a joined path"),
        pytest.param('from x import parse\nwanted = [str(r.req) for r in parse("r.txt", session=False)]',
                     ["r.txt"], id="a parser of another module"),
        pytest.param('def read(name):\n    found = []\n    for line in open(name):\n'
                     '        if line.startswith("#"):\n            continue\n'
                     '        found.append(line.strip())\n    return found\nwanted = read("r.txt") + ["six"]',
                     ["six", "r.txt"], id="a function that reads"),
        pytest.param('wanted = ["six", find()]', ["six", f"setup.py:2: {UNKNOWN}: `find()`"], id="an item"),
        pytest.param("wanted = find()", [f"setup.py:2: {UNKNOWN}: `find()`"], id="unknown"),
        pytest.param('wanted = ["six"]\nif has_gpu():\n    wanted.append("apex")',
                     ["six", f"setup.py:3: {UNKNOWN}: `if has_gpu()`"], id="an unknown condition"),
        pytest.param('wanted = ["six"]\nfor line in find():\n    wanted.append(line)',
                     ["six", f"setup.py:3: {UNKNOWN}: `for … in find()`"], id="an unknown loop"),
        pytest.param('wanted = dict(a=["six"], **{"b": ["x"]})["a"]', ["six"], id="a dictionary called"),
        pytest.param('def more(**lists):\n    return lists["a"]\nwanted = more(a=["six"])', ["six"],
                     id="a function with named lists"),
        pytest.param("wanted = [3]", ["setup.py: install_requires holds what is no requirement"], id="wrong"),
        pytest.param("wanted = None", [], id="nothing"),
    ],
)  # fmt: skip
def test_what_is_given_to_setup(body: str, expected: list[str]) -> None:
    content = read(body)

    assert shown(content) == expected
    assert content.problems == []


TABLE = r"""
import re
_deps = ["numpy>=1.17", "torch>=2.2", "ruff==0.9.10", "requests"]
deps = {b: a for a, b in (re.findall(r"^(([^!=<>~ ]+)(?:[!=<>~ ].*)?$)", x)[0] for x in _deps)}


def deps_list(*pkgs):
    return [deps[pkg] for pkg in pkgs]


extras = {}
extras["torch"] = deps_list("torch")
extras["all"] = extras["torch"] + deps_list("ruff")
"""


def test_a_table_of_dependencies_as_large_libraries_have_it() -> None:
    call = (
        'setup(name="big", install_requires=[deps["numpy"], deps["requests"]], extras_require=extras,\n'
        'python_requires=">=3.9.0", classifiers=["Programming Language :: Python :: 3.9",\n'
        '"Programming Language :: Python :: 3.10", "Programming Language :: Python :: 3"])'
    )
    content = read(TABLE, call)

    assert (content.name, content.dependencies) == ("big", ["numpy>=1.17", "requests"])
    assert content.extras == {"torch": ["torch>=2.2"], "all": ["torch>=2.2", "ruff==0.9.10"]}
    assert content.pythons == [
        (">=3.9.0", True, "setup.py"),
        ("3.9.*|3.10.*", True, "setup.py: classifiers"),
    ]


def test_arguments_from_a_dictionary_and_a_call_in_a_function() -> None:
    body = 'def main():\n    args = dict({"name": "a"}, install_requires=["six"])\n'
    call = '    setup(**args)\nif __name__ == "__main__":\n    main()'

    assert shown(read(body, call)) == ["six"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('setup(**dict(name="a", install_requires=["six"]))', ["six"]),
        ("setup(**find())", [f"setup.py:3: {UNKNOWN}: `find()`"]),
        ('setup(**{"name": "a", **find()})', [f"setup.py:3: {UNKNOWN}: `find()`"]),
    ],
    ids=["a call of dict", "unknown", "partly unknown"],
)
def test_arguments_from_a_mapping(call: str, expected: list[str]) -> None:
    assert shown(read("wanted = None", call)) == expected


@pytest.mark.filterwarnings("error")
def test_what_is_odd_in_a_file_is_no_warning_of_ours() -> None:
    assert shown(read("x = '\\d'\nwanted = ['six'] if 1is 1 else []")) == ["six"]


HINT = "write them to a requirements file and name that in [pip] requirements"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("setup(\n", Problem("setup.py:1", "is not Python 3")),
        ("print 'x'\n", Problem("setup.py:1", "is not Python 3")),
        ("x = 1\n", Problem("setup.py", "no call of setup() can be seen without running it", HINT)),
        (
            "from setuptools import setup\nsetup(extras_require=find())\n",
            Problem("setup.py:2", "its extras cannot be told: `find()`", HINT),
        ),
    ],
)
def test_what_cannot_be_read_at_all(text: str, problem: Problem) -> None:
    assert read_setup_py(text, "setup.py").problems == [problem]


DOUBLING = "\n".join(["a = ['x']", *["a = [a, a]"] * 60, "wanted = a"])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(DOUBLING, id="lists that double"),
        pytest.param("a = 'x' * 10 ** 10\nwanted = a", id="a long text"),
        pytest.param("a = 'xxxxxxxxxx'\n" + "a = a + a\n" * 60 + "wanted = [a]", id="text that doubles"),
        pytest.param(
            "a = 'xxxxxxxxxx'\n" + "a = f'{a}{a}'\n" * 60 + "wanted = [a]", id="a format that doubles"
        ),
        pytest.param("wanted = ['%999999999s' % 'x', '{:>999999999}'.format('x')]", id="padding"),
        pytest.param("def f(n):\n    return f(n)\nwanted = f(1)", id="recursion"),
        pytest.param("r = [1] * 9\nl = list('x' * 9)\nwanted = [y for y in [z for z in 'ab']]", id="loops"),
        pytest.param(
            "n = list('0123456789' '0123456789')\nfor a in n:\n    for b in n:\n        for c in n:\n"
            "            for d in n:\n                for e in n:\n                    pass\nwanted = []",
            id="nested loops",
        ),
        pytest.param("import re\nwanted = re.findall('(a+)+$', 'a' * 40 + 'b')", id="a slow pattern"),
        pytest.param("wanted = __import__('os').listdir('/')", id="an import"),
        pytest.param("import os\nos.remove('/nowhere')\nwanted = [os.getcwd(), eval('1')]", id="other calls"),
    ],
)
def test_a_hostile_file_takes_neither_time_nor_memory(body: str) -> None:
    content = read(body)

    assert all(len(item) < 1000 for item in shown(content))
