"""The judge of the corpus: a right spec passes, and each kind of fault is found."""

import tomllib

import pytest

from tests.rig.corpus.environments import CorpusEnvironment, ExpectedSpec, environments, read_environment
from tests.rig.corpus.written_spec import WrittenSpec, judge_spec
from tests.rig.program import Answer

SPEC = """\
name = "e"
python = "3.11"
[base]
image = "python:3.11-slim"
[pip]
packages = ["torch>=2.0,<3", "six", "uvicorn[standard]<1"]
requirements = ["requirements.txt"]
constraints = ["bounds.txt"]
indexes = { cpu = "https://download.example.com/whl/cpu" }
sources = { torch = "cpu" }
[system]
packages = ["git"]
[image]
env = { A = "1" }
prepend = { PATH = ["/opt/bin"] }
"""

EXPECTED = ExpectedSpec(
    python=("3.11", "3.12"),
    base="python:3.11-slim",
    requirements=("torch>=2,<3.0", "six", "uvicorn<1.0", "idna"),
    constraints=("idna<4",),
    system=("git",),
    absent=("pytest", "six<1"),
    absent_system=("gcc",),
    gpu=False,
    env={"A": "1"},
    prepend={"PATH": ("/opt/bin",)},
    left=("setup.py", "Dockerfile:7"),
    left_any=("tox.ini", "pyproject.toml: project.scripts"),
    named=("requirements.txt", "bounds.txt"),
    indexes=("https://download.example.com/whl/cpu",),
    bound={"torch": "https://download.example.com/whl/cpu"},
)

LEFT = ("setup.py: extras", "Dockerfile:7", "pyproject.toml: project.scripts")


def expecting(folder, expected):
    return CorpusEnvironment(folder=folder, kind="x", shape="a/b", expected=expected, lock="right")


def written(folder, spec=SPEC, left=LEFT, code=0, stderr=""):
    (folder / "requirements.txt").write_text("idna\n")
    (folder / "bounds.txt").write_text("idna<4\n")
    if spec:
        (folder / "envbuild.toml").write_text(spec)
    return WrittenSpec(
        folder=folder,
        answer=Answer(code=code, stdout="", stderr=stderr),
        tables=tomllib.loads(spec),
        report={"left": [{"where": where, "message": "not taken", "hint": None} for where in left]},
    )


def test_a_right_spec_passes(tmp_path):
    assert judge_spec(expecting(tmp_path, EXPECTED), written(tmp_path)) == ()


@pytest.mark.parametrize(
    ("there", "instead", "said"),
    [
        ('"3.11"\n', '"3.13"\n', "Python 3.13, not 3.11 or 3.12"),
        ("3.11-slim", "3.11", "base python:3.11, not python:3.11-slim"),
        (">=2.0,<3", ">=2.1,<3", "torch>=2,<3.0 is not asked for"),
        ('"six", ', "", "six is not asked for"),
        ('"six", ', '"six", "pytest", ', "pytest is asked for"),
        ('constraints = ["bounds.txt"]\n', "", "idna<4 does not constrain"),
        ('"git"', '"git", "gcc"', "gcc is asked of the distribution"),
        ('"git"', "", "git is not asked of the distribution"),
        ('A = "1"', 'A = "2"', "A is '2', not '1'"),
        ('prepend = { PATH = ["/opt/bin"] }\n', "", "PATH is not prepended /opt/bin"),
        ('requirements = ["requirements.txt"]\n', "", "the spec does not name requirements.txt"),
        (
            "sources = { torch",
            "sources = { six",
            "torch is not bound to https://download.example.com/whl/cpu",
        ),
    ],
)
def test_each_fault_of_a_spec_is_found(tmp_path, there, instead, said):
    assert there in SPEC
    found = judge_spec(expecting(tmp_path, EXPECTED), written(tmp_path, SPEC.replace(there, instead, 1)))
    assert said in found


def test_what_was_not_reported_is_found(tmp_path):
    assert judge_spec(expecting(tmp_path, EXPECTED), written(tmp_path, left=("Dockerfile:70",))) == (
        "setup.py is not reported",
        "Dockerfile:7 is not reported",
        "none of tox.ini, pyproject.toml: project.scripts is reported",
    )


def test_a_spec_that_was_not_written_is_found(tmp_path):
    failed = written(tmp_path, spec="", code=3, stderr="error: no\n\n  more\n")
    assert judge_spec(expecting(tmp_path, EXPECTED), failed) == ("init exited 3: error: no   more",)


def test_a_refusal_that_is_expected(tmp_path):
    environment = expecting(tmp_path, ExpectedSpec(refused=True, left=("setup.py",)))
    refused = written(tmp_path, spec="", left=(), code=3, stderr="error: nothing to take\n  setup.py: x\n")
    assert judge_spec(environment, refused) == ()
    silent = written(tmp_path, spec="", left=(), code=0)
    assert judge_spec(environment, silent) == (
        "init exited 0 though there is nothing it can take",
        "setup.py is not reported",
    )


def test_an_unknown_key_of_an_expectation_is_an_error(tmp_path):
    text = (environments()[0].folder / "expected.toml").read_text() + 'pyton = "3.11"\n'
    (tmp_path / "expected.toml").write_text(text)
    with pytest.raises(TypeError, match="pyton"):
        read_environment(tmp_path)
