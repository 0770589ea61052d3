"""What another interpreter answers, whatever it prints besides."""

import sys

import pytest

from envbuild.verify.probe.isolated import Answer, ask


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        pytest.param("reply([1])", Answer([1]), id="alone"),
        pytest.param("print('told', end=''); reply([1])", Answer([1]), id="after text without a line end"),
        pytest.param("print('envbuild-answer:oops'); reply([1])", Answer([1]), id="after a line like it"),
        pytest.param(
            "print('envbuild-answer:oops')",
            Answer(problem="the interpreter's answer cannot be read"),
            id="a line like it alone",
        ),
        pytest.param("raise SystemExit('no')", Answer(problem="no"), id="none"),
    ],
)
def test_the_last_answer_counts(program: str, answer: Answer) -> None:
    assert ask(sys.executable, program, seconds=30) == answer
