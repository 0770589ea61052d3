"""What stages of DVC run in the image."""

from typing import Any

import pytest

from envbuild.records.sources.dvc_stages import stage_command

OUTSIDE = "the command: the stage is a line of the shell outside; give one after `--`"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("envbuild run -- python a.py", {"command": ["python", "a.py"]}),
        ("envbuild run python a.py --lr 1", {"command": ["python", "a.py", "--lr", "1"]}),
        (
            "envbuild run -q --env PYTHONHASHSEED=5 -eHF_TOKEN=hunter2 -e API --network=none -- python a.py",
            {
                "command": ["python", "a.py"],
                "options": {"network": "none"},
                "variable-names": ["API", "HF_TOKEN"],
            },
        ),
        (
            "envbuild run --no-mount --engine local --variant gpu --shm-size 8g -w /x -- true",
            {
                "command": ["true"],
                "options": {"shm-size": "8g", "workdir": "/x"},
                "mounted": False,
            },
        ),
        ("python a.py > out", {"command": ["sh", "-ec", "python a.py > out"]}),
        ("envbuild run -- python 'a b.py'", {"command": ["python", "a b.py"]}),
        (
            "envbuild run -- curl --token=x",
            {"command": ["curl", "--token=***"], "redacted": True},
        ),
    ],
)
def test_a_line(line: str, expected: dict[str, Any]) -> None:
    found = stage_command([line])
    assert found.document() == {"mounted": True, **expected}
    assert found.missing == []


def test_switches_are_variables() -> None:
    line = "envbuild run --env PYTHONHASHSEED=5 --env OMP_NUM_THREADS=1 -- true"
    assert stage_command([line]).variables == {"PYTHONHASHSEED": "5", "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    "line",
    [
        "envbuild run -- python a.py > out",
        "envbuild run -- python a.py && rm x",
        "cd sub && envbuild run -- true",
        "SEED=1 envbuild run -- true",
        "envbuild run -- python $X",
        "envbuild run -- python `date`",
        "envbuild run -- cat *.csv",
        "envbuild run -- 'open",
        "envbuild -C x run -- true",
    ],
)
def test_a_line_that_needs_the_shell_outside(line: str) -> None:
    found = stage_command([line])
    assert (found.command, found.missing) == (None, [OUTSIDE])


def test_several_lines() -> None:
    assert stage_command(["python a.py", "python b.py"]).command == ["sh", "-ec", "python a.py\npython b.py"]
    assert stage_command(["envbuild run -- a", "envbuild run -- b"]).missing == [OUTSIDE]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("envbuild run --mount /home/me/x:/x -- true", "--mount of the stage: give it"),
        ("envbuild run -p 80 -- true", "--publish of the stage: give it"),
        ("envbuild run --env-file secrets -- true", "--env-file of the stage: give it"),
    ],
)
def test_what_is_not_taken_is_said_without_its_value(line: str, said: str) -> None:
    assert stage_command([line]).missing == [said]


@pytest.mark.parametrize("line", ["envbuild run", "envbuild run --", "envbuild run --env"])
def test_no_command(line: str) -> None:
    assert stage_command([line]).command is None
