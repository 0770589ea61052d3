import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from envbuild import __version__
from tests.rig.program import Program

COLOUR = "\x1b["
NO_ENGINE = "error: no Docker Engine answers"


@pytest.mark.parametrize("command", ["build", "render", "verify"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(
            ("--variant", "gpu"),
            "error: the lock has no variant `gpu`\n\nhint: variants of this lock: default\n",
            id="variant",
        ),
        pytest.param(
            ("--platform", "linux/arm64"),
            "error: the lock has no platform `linux/arm64` for variant `default`\n"
            "\nhint: locked platforms: linux/amd64; add it to `platforms` in the spec and lock again\n",
            id="platform",
        ),
    ],
)
def test_a_target_the_lock_lacks_is_a_usage_error(
    locked: Program, command: str, options: tuple[str, ...], said: str
):
    answer = locked(command, *options)

    assert (answer.code, answer.stdout, answer.stderr) == (2, "", said)


def test_push_without_a_repository_is_a_usage_error(locked: Program):
    answer = locked("build", "--push")

    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr == (
        "error: the spec names no repository to push to\n"
        "\nhint: name `repository` under [image] in the spec and lock again\n"
    )


@pytest.mark.parametrize("option", [("--upgrade",), ("--upgrade-package", "numpy")])
def test_check_upgrades_nothing(locked: Program, option: tuple[str, ...]):
    answer = locked("lock", "--check", *option)

    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr == "error: --check writes nothing, so there is nothing to upgrade\n"


@pytest.mark.parametrize(
    "option",
    [
        ("--deep",),
        ("--exact",),
        ("--require-complete",),
        ("--no-cache",),
        ("--junit", "report.xml"),
        ("train:latest",),
    ],
)
def test_verify_here_takes_nothing_from_outside(locked: Program, option: tuple[str, ...]):
    answer = locked("verify", "--here", *option)

    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr == (
        "error: --here takes no image, and no option about one\n\n"
        "hint: they are for `envbuild verify` outside the container\n"
    )


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (("frobnicate",), "Error: No such command 'frobnicate'."),
        (("lock", "--frobnicate"), "Error: No such option: --frobnicate"),
    ],
)
def test_an_unknown_word_is_a_usage_error(program: Program, command: tuple[str, ...], fault: str):
    answer = program(*command)

    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.splitlines()[-1] == fault


@pytest.mark.slow
@pytest.mark.parametrize("command", [("build",), ("build", "--json"), ("verify",), ("run", "--", "true")])
def test_without_an_engine_the_way_to_name_one_is_told(locked: Program, command: tuple[str, ...]):
    # in a process of its own: Docker's SDK leaves the socket it could not connect to the garbage collector
    running = locked.start(*command)
    stdout, stderr = running.communicate(timeout=20)

    said = [line for line in stderr.splitlines() if not line.startswith("  ")]
    # `run` keeps the codes below 125 for the command
    assert (running.returncode, stdout) == (125 if command[0] == "run" else 6, "")
    assert said == [
        NO_ENGINE,
        "",
        "hint: start it, name it in DOCKER_HOST, or use --engine local, which needs none",
    ]


def test_run_without_a_command_is_a_usage_error(program: Program):
    answer = program("run")

    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("error: `run` needs a command\n")


def test_rendering_needs_neither_network_nor_engine(locked: Program):
    answer = locked("render")

    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout.startswith("# Rendered by envbuild from its lock: train (default, linux/amd64)")
    assert locked("render", "--quiet").stdout == answer.stdout


def test_a_rendered_dockerfile_as_json(locked: Program):
    document = json.loads(locked("render", "--json").stdout)

    assert document["dockerfile"] == locked("render").stdout
    assert document["target"] in document["dockerfile"]


def test_the_cache_as_text_and_json(locked: Program):
    text, document = locked("cache", "info"), json.loads(locked("cache", "info", "--json").stdout)

    assert (text.code, text.stdout) == (0, f"{document['folder']}\n")
    assert document["folder"] == os.environ["ENVBUILD_CACHE_DIR"]
    assert set(document["kinds"].values()) == {0}
    assert all(any(line.startswith(kind) for line in text.stderr.splitlines()) for kind in document["kinds"])


@pytest.mark.parametrize("option", ["--older-than", "--max-size"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_prune_takes_no_nonsense(program: Program, option: str, value: str):
    answer = program("cache", "prune", f"{option}={value}")

    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr == f"error: {option} must be 0 or more, not {value}\n"


def test_prune_asks_what_to_remove(program: Program):
    answer = program("cache", "prune")

    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr == (
        "error: choose what to remove\n\nhint: give --older-than DAYS or --max-size GIGABYTES\n"
    )


@pytest.mark.slow
def test_data_is_utf_8_in_every_locale(locked: Program):
    running = locked.start("render", environment={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})

    stdout, stderr = running.communicate(timeout=20)

    assert (running.returncode, stderr) == (0, "")
    assert stdout == locked("render").stdout
    assert not stdout.isascii()


@pytest.mark.slow
def test_a_reader_that_went_away_is_no_error_to_tell(locked: Program):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        running = locked.start("render", stdout=writer)
        _, stderr = running.communicate(timeout=20)
    finally:
        os.close(writer)

    assert (running.returncode, stderr) == (1, "")


def test_quiet_leaves_nothing_to_say(locked: Program):
    answer = locked("lock", "-q")

    assert (answer.code, answer.stdout, answer.stderr) == (0, "", "")


def test_the_version_is_data(program: Program):
    answer = program("--version")

    assert (answer.code, answer.stdout, answer.stderr) == (0, f"envbuild {__version__}\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        pytest.param({"TERM": "xterm"}, True, id="terminal"),
        pytest.param({"TERM": "xterm", "NO_COLOR": "1"}, False, id="no-color"),
        pytest.param({"TERM": "dumb"}, False, id="dumb"),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    program: Program, environment: Mapping[str, str], coloured: bool
):
    said = _said_on_a_terminal(program, "lock", environment=environment)

    assert (COLOUR in said) is coloured
    assert "there is no spec here" in said


@pytest.mark.slow
def test_colour_is_not_for_files(program: Program):
    running = program.start("lock", environment={"TERM": "xterm"})

    _, said = running.communicate(timeout=20)

    assert running.returncode == 3
    assert COLOUR not in said


def _said_on_a_terminal(program: Program, *arguments: str, environment: Mapping[str, str]) -> str:
    reader, terminal = pty.openpty()
    try:
        running = program.start(*arguments, environment=environment, stderr=terminal)
        running.communicate(timeout=20)
        return os.read(reader, 1 << 16).decode()
    finally:
        os.close(terminal)
        os.close(reader)


@pytest.mark.parametrize(("arguments", "code"), [("--version", 0), ("lock -f nowhere", 3)])
def test_nobody_may_hear_the_messages(tmp_path: Path, arguments: str, code: int) -> None:
    """Started with standard error closed, as some supervisors do."""
    script = f"exec {shlex.quote(sys.executable)} -m envbuild {arguments} 2>&-"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=False)
    expected = subprocess.run(
        [sys.executable, "-m", "envbuild", *arguments.split()], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (expected.returncode, expected.stdout)
    assert done.returncode == code
