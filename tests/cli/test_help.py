import re

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cli.program import Program

COMMANDS = {
    "envbuild": (),
    "lock": ("lock",),
    "render": ("render",),
    "build": ("build",),
    "verify": ("verify",),
    "run": ("run",),
    "cache": ("cache",),
    "cache-info": ("cache", "info"),
    "cache-prune": ("cache", "prune"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_help(program: Program, command: tuple[str, ...], snapshot: SnapshotAssertion):
    answer = program(*command, "--help")

    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout == snapshot
    assert program(*command, "-h").stdout == answer.stdout


def test_every_command_is_covered(program: Program):
    listed = [
        (*above, name)
        for above in ((), ("cache",))
        for name in re.findall(r"^  (\w+) ", program(*above, "--help").stdout.partition("Commands:")[2], re.M)
    ]

    assert set(listed) | {()} == set(COMMANDS.values())
