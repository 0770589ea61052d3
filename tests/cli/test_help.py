"""What `--help` says, apart from how typer lays it out: that changes between its releases."""

import re
from collections.abc import Iterator

import pytest
import typer
from syrupy.assertion import SnapshotAssertion

from envbuild.cli.app import app
from tests.rig.program import Program


def _commands(command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*path, name))


COMMANDS = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: "-".join(path) or "envbuild")
def test_help_describes_every_option(program: Program, path: tuple[str, ...], snapshot: SnapshotAssertion):
    answer = program(*path, "--help")

    said = " ".join(answer.stdout.split())
    described = list(_described(COMMANDS[path]))
    assert (answer.code, answer.stderr) == (0, "")
    assert program(*path, "-h").stdout == answer.stdout
    assert [text for line in described for text in line if text not in said] == []
    assert "\n".join(": ".join(line) for line in described) == snapshot


def test_help_lists_the_commands_below_headings(program: Program):
    *_, said = program("--help").stdout.partition("Spec and lock:\n")
    listed = [line for line in said.splitlines() if line.startswith("  ")]

    assert sorted(line.split()[0] for line in listed) == sorted(
        path[0] for path in COMMANDS if len(path) == 1
    )
    assert len({len(line) - len(re.sub(r"^  [a-z-]+ +", "", line)) for line in listed}) == 1
    assert [line for line in said.splitlines() if line.endswith(":")] == [
        "Image:",
        "Inspection:",
        "Other tools:",
        "This machine:",
    ]


def test_no_line_of_the_list_is_cut_off(program: Program):
    assert "..." not in program("--help").stdout.partition("Spec and lock:\n")[2]


def _described(command) -> Iterator[tuple[str, str]]:
    yield command.name, " ".join(command.help.split())
    for parameter in command.params:
        yield ", ".join(sorted(parameter.opts, key=len)), " ".join(parameter.help.split())
