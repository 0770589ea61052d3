"""Which Python is taken, by what files say of it."""

import pytest

from envbuild.discovery.choose_python import choose_python
from envbuild.discovery.content import PythonEvidence, Taken
from envbuild.errors import Problem


def exact(text: str, where: str) -> PythonEvidence:
    return PythonEvidence(text, where)


def bound(text: str, where: str) -> PythonEvidence:
    return PythonEvidence(text, where, is_range=True)


@pytest.mark.parametrize(
    ("evidence", "version"),
    [
        pytest.param([], "3.12", id="nothing"),
        pytest.param(
            [exact("3.10", "Dockerfile:1"), exact("3.11", ".python-version")], "3.11", id="the file"
        ),
        pytest.param([exact("3.10", "Dockerfile:1"), exact("3.11", "Pipfile.lock")], "3.11", id="a lock"),
        pytest.param([exact("3.10", "requirements.txt"), exact("3.13", "Pipfile")], "3.10", id="a header"),
        pytest.param(
            [exact("2.7", ".python-version"), exact("3.10", "Pipfile")], "3.10", id="a supported one"
        ),
        pytest.param([bound(">=3.9,<3.12", "pyproject.toml")], "3.11", id="a range"),
        pytest.param([bound(">=3.9", "a"), bound("<3.11", "uv.lock")], "3.10", id="two ranges"),
        pytest.param([bound("3.9.*|3.10.*|3.11.*", "setup.py: classifiers")], "3.11", id="classifiers"),
        pytest.param(
            [bound(">=3.9", "setup.py"), bound("3.9.*|3.10.*", "tox.ini")], "3.10", id="what is tested"
        ),
        pytest.param(
            [bound(">=3.11", "setup.py"), bound("3.9.*|3.10.*", ".github/workflows/ci.yml")],
            "3.12",
            id="tests contradict nobody",
        ),
        pytest.param([bound(">=3.8,<3.13 || >=3.14", "poetry.lock")], "3.12", id="alternatives"),
    ],
)
def test_the_python_of_the_best_witness(evidence: list[PythonEvidence], version: str) -> None:
    assert choose_python(evidence).version == version


def test_witnesses_that_contradict_are_named() -> None:
    choice = choose_python(
        [exact("3.10", "Dockerfile:3"), exact("3.11", ".python-version"), bound("<3.11", "pyproject.toml")]
    )

    assert choice.left == [
        Problem("pyproject.toml", "`<3.11` does not allow Python 3.11, which .python-version names"),
        Problem("Dockerfile:3", "names Python 3.10; 3.11, which .python-version names, is taken"),
    ]


@pytest.mark.parametrize(
    ("with_wheels", "version", "taken"),
    [
        ({"3.11", "3.10"}, "3.11", [Taken("the index", "Python 3.11, which the pins have wheels for")]),
        ({"3.12", "3.11"}, "3.12", [Taken("the index", "Python 3.12, which the pins have wheels for")]),
        (set(), "3.12", []),
        (None, "3.12", []),
    ],
)
def test_the_python_that_the_pins_have_wheels_for(with_wheels, version: str, taken: list[Taken]) -> None:
    asked: list[str] = []

    def has_wheels(python: str) -> bool | None:
        asked.append(python)
        return None if with_wheels is None else python in with_wheels

    choice = choose_python([], has_wheels)

    assert (choice.version, choice.taken) == (version, taken)
    assert len(asked) <= 5


def test_the_index_is_not_asked_where_a_file_names_the_python() -> None:
    def fail(python: str) -> bool:
        raise AssertionError(python)

    assert choose_python([exact("3.11", "Pipfile")], fail).version == "3.11"
    assert choose_python([bound("==3.11.*", "Pipfile")], fail).version == "3.11"
