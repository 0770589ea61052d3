"""Commands and options of uv, pixi, cog and docker: what is said where one is typed."""

import re
from typing import Any

import pytest
from typer.main import get_command

from envbuild.cli.app import app
from envbuild.cli.other_tools import hint_for_command, hint_for_option, rows
from tests.rig.paths import CHECKOUT
from tests.rig.program import Program

NAMED = re.compile(r"`envbuild ([a-z][a-z-]*)")
ROW = re.compile(r"^\| `(?:uv|pixi|cog|docker) ([a-z-]+)` \| (`envbuild [^|]+) \|", re.MULTILINE)
VERBS = (CHECKOUT / "docs/reference/verbs.md").read_text("utf-8")


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    command: Any = get_command(app)
    return dict(command.commands)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("sync",), "No such command 'sync'.\n\nhint: `envbuild build` builds"),
        (("ps",), "No such command 'ps'.\n\nhint: `envbuild run`"),
        (("run", "-it", "bash"), "No such option: -i\n\nhint: leave it out: the command gets a terminal"),
        (
            ("run", "--rm", "ls"),
            "No such option: --rm\n\nhint: leave it out: the container is always removed",
        ),
        (("shell", "--volume", ".:/x"), "No such option: --volume\n\nhint: use --mount SOURCE:TARGET[:ro]"),
        (
            ("add", "-r", "requirements.txt"),
            "No such option: -r\n\nhint: name the file under [pip] in the spec",
        ),
        (("tree", "--directory", "x"), "No such option: --directory\n\nhint: it stands before the command"),
    ],
)
def test_what_to_type_is_said(program: Program, typed: tuple[str, ...], said: str) -> None:
    answer = program(*typed)

    assert (answer.code, answer.stdout) == (2, "")
    assert f"Error: {said}" in answer.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("biuld",), "No such command 'biuld'. Did you mean 'build'?\n"),
        (("lock", "--chekc"), "No such option: --chekc (Possible options: --check, --help, --spec)\n"),
        (("lock", "--platform"), "Option '--platform' requires an argument.\n"),
        (("nosuch",), "No such command 'nosuch'.\n"),
    ],
)
def test_what_no_tool_has_is_told_as_ever(program: Program, typed: tuple[str, ...], said: str) -> None:
    answer = program(*typed)

    assert answer.code == 2
    assert answer.stderr.endswith(f"Error: {said}")


def test_hints_and_the_table_of_verbs_agree(ours: dict[str, Any]) -> None:
    rows = [(verb, set(NAMED.findall(named))) for verb, named in ROW.findall(VERBS)]
    foreign = [(verb, named) for verb, named in rows if verb not in ours and named]

    assert len(foreign) > 15
    assert [
        verb for verb, named in foreign if not named & set(NAMED.findall(hint_for_command(verb) or ""))
    ] == []


def test_no_hint_stands_in_the_way_of_what_there_is(ours: dict[str, Any]) -> None:
    typed = [name for row in rows()["commands"] for name in row["names"]]
    options = [
        (name, option) for row in rows()["options"] for name in row.get("of", ()) for option in row["names"]
    ]

    assert len(typed) == len(set(typed))
    assert len(options) == len(set(options))
    assert set(typed) & set(ours) == set()
    assert [(name, option) for name, option in options if option in known(ours[name])] == []


def test_hints_name_commands_and_options_that_exist(ours: dict[str, Any]) -> None:
    every = [*rows()["commands"], *rows()["options"]]
    named = {name for row in every for name in NAMED.findall(row["hint"])}

    assert named <= set(ours)
    for row in every:
        for name, options in re.findall(r"`envbuild ([a-z-]+)((?: --[a-z-]+)+)`", row["hint"]):
            assert set(options.split()) <= known(ours[name])
    for row in rows()["options"]:
        for name in row.get("of", ()):
            if "`" not in row["hint"]:
                assert set(re.findall(r"--[a-z-]+", row["hint"])) <= known(ours[name])


def known(command: Any) -> set[str]:
    """Return the options of a command."""
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_an_option_of_every_command_has_its_hint() -> None:
    assert "-C FOLDER" in str(hint_for_option("run", "--project"))
    assert hint_for_option("nosuch", "--nosuch") is None


def test_a_variable_that_is_not_set_is_noted(program: Program) -> None:
    answer = program("run", "-e", "no-such-variable", "true")

    assert answer.code == 125
    assert answer.stderr.startswith("note: --env no-such-variable: not set in this shell")
    assert program("run", "-q", "-e", "no-such-variable", "true").stderr.startswith("error:")
