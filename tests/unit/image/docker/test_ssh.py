"""Engines at ``ssh://``, with a double of `ssh` first on PATH that answers as an engine does."""

import contextlib
import json
import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from envbuild.errors import EngineError
from envbuild.image.docker.connection import DockerConnection
from envbuild.image.docker.ssh import Tunnels, ssh_command

ANSWERS = f"""\
#!{sys.executable}
import json, os, sys
with open(os.environ["SEEN"], "a") as seen:
    seen.write(json.dumps([os.getpid(), *sys.argv[1:]]) + "\\n")
body = b'{{"Version": "26.1.5", "ApiVersion": "1.45", "Os": "linux", "Arch": "amd64"}}'
for line in iter(sys.stdin.buffer.readline, b""):
    if line == b"\\r\\n":
        sys.stdout.buffer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
        sys.stdout.flush()
"""

REFUSES = """\
#!/bin/sh
echo 'Warning: something else' >&2
echo 'me@far: Permission denied (publickey).' >&2
exit 255
"""


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Return the variables with which the double is found; those of the process do not name it."""
    (tmp_path / "bin").mkdir()
    return {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "SEEN": str(tmp_path / "seen"),
        "DOCKER_HOST": "ssh://me@far:2222",
    }


def put_ssh(variables: dict[str, str], content: str) -> None:
    path = Path(variables["PATH"].split(os.pathsep)[0]) / "ssh"
    path.write_text(content)
    path.chmod(0o755)


def is_running(number: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, 0)
        return True
    return False


def test_an_engine_is_asked_through_ssh(variables: dict[str, str]) -> None:
    put_ssh(variables, ANSWERS)
    with contextlib.closing(DockerConnection(variables)) as connection:
        assert connection.describe() == "26.1.5, API 1.45, linux/amd64"
        assert not connection.is_here
        # one connection serves both questions
        ((number, *arguments),) = map(json.loads, Path(variables["SEEN"]).read_text().splitlines())
        assert is_running(number)
    assert arguments == list(ssh_command("ssh://me@far:2222")[1:])
    until = time.monotonic() + 20
    while is_running(number) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_running(number)


def test_what_ssh_says_is_the_detail(variables: dict[str, str]) -> None:
    put_ssh(variables, REFUSES)
    with contextlib.closing(DockerConnection(variables)) as connection, pytest.raises(EngineError) as raised:
        connection.describe()
    assert raised.value.message == "the engine at ssh://me@far:2222 cannot be reached through ssh"
    assert raised.value.detail == "me@far: Permission denied (publickey)."
    assert raised.value.hint is not None
    assert "`docker version`" in raised.value.hint


def test_a_machine_without_ssh_says_so(variables: dict[str, str], tmp_path: Path) -> None:
    with (
        contextlib.closing(DockerConnection({**variables, "PATH": str(tmp_path)})) as connection,
        pytest.raises(EngineError, match="cannot be reached through ssh") as raised,
    ):
        connection.describe()
    assert raised.value.detail == "`ssh` is not installed"


def test_both_ends_of_a_connection_are_one_stream() -> None:
    sent = os.urandom(1 << 20)
    with Tunnels(("cat",), os.environ).connect(30) as end:
        received = b""
        for start in range(0, len(sent), 1 << 15):
            end.sendall(sent[start : start + (1 << 15)])
            while len(received) < start + (1 << 15):
                received += end.recv(1 << 16)
    assert received == sent


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("ssh://far", ["--", "far", "docker system dial-stdio"]),
        ("ssh://me@Far.Lab/", ["-l", "me", "--", "Far.Lab", "docker system dial-stdio"]),
        ("ssh://[::1]:22", ["-p", "22", "--", "::1", "docker system dial-stdio"]),
        ("ssh://-oProxyCommand=x", ["--", "-oProxyCommand=x", "docker system dial-stdio"]),
    ],
)
def test_the_program_is_what_the_docker_client_starts(host: str, words: list[str]) -> None:
    assert ssh_command(host) == ("ssh", "-o", "ConnectTimeout=30", "-T", *words)


def test_a_socket_of_another_path_is_named_to_the_shell_there() -> None:
    there = shlex.split(ssh_command("ssh://far/run/a b;c/docker.sock")[-1])
    assert there == ["docker", "--host=unix:///run/a b;c/docker.sock", "system", "dial-stdio"]


@pytest.mark.parametrize(
    "host",
    [
        "ssh://",
        "ssh://me@",
        "ssh://me:secret@far",
        "ssh://far:port",
        "ssh://far?x",
        "ssh://far#x",
        "ssh://[far",
    ],
)
def test_hosts_that_ssh_cannot_take_are_refused(host: str) -> None:
    with (
        contextlib.closing(DockerConnection({"DOCKER_HOST": host})) as connection,
        pytest.raises(EngineError) as raised,
    ):
        connection.describe()
    assert "names no engine" in raised.value.message
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None or "secret" not in str(raised.value.__cause__)
