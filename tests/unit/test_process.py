import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from envbuild import process

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def python(code, **options):
    return process.run([sys.executable, "-c", code], environment=ENVIRONMENT, **options)


def test_both_streams_and_the_status_are_kept():
    result = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (result.exit_status, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert not result.succeeded


def test_much_output_on_both_streams_does_not_deadlock():
    result = python(
        "import sys; sys.stderr.write('e' * 300_000); sys.stdout.write('o' * 300_000)", timeout=20
    )
    assert (len(result.stdout), len(result.stderr)) == (300_000, 300_000)


def test_a_socket_is_both_streams_and_ends_with_the_program():
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"abc\n")
        result = python("print(input().upper())", joined=theirs, timeout=20)
        assert ours.recv(10) + ours.recv(10) == b"ABC\n"
    assert (result.succeeded, result.stdout, theirs.fileno()) == (True, "", -1)


def test_input_is_given_and_lines_are_seen_as_they_come():
    lines: list[str] = []
    result = python(
        "import sys; print(sys.stdin.read().upper()); print('one\\ntwo', file=sys.stderr)",
        standard_input=b"abc",
        on_stderr_line=lines.append,
    )
    assert result.stdout == "ABC\n"
    assert lines == ["one", "two"]


def test_a_program_that_reads_nothing_is_no_fault():
    assert python("pass", standard_input=b"x" * 1_000_000).succeeded


def test_nothing_of_this_environment_leaks():
    os.environ["ENVBUILD_TEST_LEAK"] = "1"
    try:
        assert python("import os; print('ENVBUILD_TEST_LEAK' in os.environ)").stdout == "False\n"
    finally:
        del os.environ["ENVBUILD_TEST_LEAK"]


def test_a_missing_program_is_named():
    with pytest.raises(process.ProgramMissingError, match="`no-such-program` is not installed"):
        process.run(["no-such-program"], environment=ENVIRONMENT)


def test_a_shell_string_is_refused():
    with pytest.raises(TypeError):
        process.run("echo hello", environment=ENVIRONMENT)


def test_as_much_as_its_limit_is_kept_and_no_byte_more():
    code = "import sys; sys.stderr.write('e' * 300_000); sys.stdout.write('o' * 300_000)"
    result = python(code, output_limit=300_000)
    assert (len(result.stdout_bytes), len(result.stderr_bytes)) == (300_000, 300_000)
    with pytest.raises(process.ProgramOutputError, match="wrote more than 299999 bytes to standard"):
        python(code, output_limit=299_999)


@pytest.mark.parametrize("stream", ["standard output", "standard error"])
@pytest.mark.parametrize("text", ["line\n", "no line"])
def test_a_program_that_writes_without_end_is_ended(stream, text):
    lines: list[str] = []
    code = (
        f"import sys\nwhile True: sys.{'stdout' if stream == 'standard output' else 'stderr'}.write({text!r})"
    )
    with pytest.raises(process.ProgramOutputError) as raised:
        python(code, output_limit=200_000, on_stdout_line=lines.append, on_stderr_line=lines.append)
    assert raised.value.stream == stream
    assert max(map(len, lines)) <= 1 << 16
    assert 100_000 < sum(map(len, lines)) <= 200_000


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_program_that_closes_its_streams_is_waited_for(timeout):
    code = "import os, sys, time; os.close(1); os.close(2); time.sleep(0.2); os._exit(3)"

    assert python(code, timeout=timeout).exit_status == 3


def test_programs_are_ended_when_the_block_is_interrupted():
    statuses = []
    thread = threading.Thread(
        target=lambda: statuses.append(
            python("import time; print(1, flush=True); time.sleep(60)").exit_status
        )
    )

    def interrupted():
        with process.ending_programs():
            thread.start()
            while not process._running:
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    thread.join(30)
    assert statuses != [0]
    assert statuses


@pytest.mark.slow
def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    marker = tmp_path / "child"
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    with pytest.raises(process.ProgramTimeoutError):
        python(code, timeout=5)
    state = Path("/proc") / marker.read_text() / "stat"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.1)
    pytest.fail("the child of the program is still running")
