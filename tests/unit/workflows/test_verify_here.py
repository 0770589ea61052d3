"""`verify --here` in a container whose lock, interpreter or probe is not what envbuild put there."""

import json
import os
import sys

import pytest

from envbuild.errors import UsageError
from envbuild.workflows import verify_here as module
from envbuild.workflows.machine import Machine
from envbuild.workflows.verify_here import verify_here


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """Return where the lock of this container is."""
    monkeypatch.setattr(module, "IMAGE_LOCK", str(tmp_path / "lock.json"))
    monkeypatch.setattr(module, "IMAGE_PROBE", str(tmp_path / "probe.pyz"))
    return tmp_path / "lock.json"


def verify():
    return verify_here(profile="image", require_gpu=False, as_json=True, machine=Machine(environment={}))


def naming(path):
    return json.dumps({"interpreter": {"path": path}}).encode()


def test_the_probe_s_exit_status_is_returned(lock):
    lock.write_bytes(naming(sys.executable))
    (lock.parent / "probe.pyz").write_text("import sys; sys.exit(8)")

    assert verify() == 8


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[1]",
        b"7",
        b'"text"',
        b"null",
        b"{}",
        b'{"interpreter": "/usr/bin/python3"}',
        b'{"interpreter": ["path"]}',
        b'{"interpreter": {"path": 7}}',
        b'{"interpreter": {"path": null}}',
        b"[" * 200_000,
        b'{"interpreter":' * 100_000,
        b"9" * 10_000,
        b'{"interpreter": {"path": "/usr/bin/python3"}',
        '{"interpreter": {"path": "/usr/bin/python3"}}'.encode("utf-16"),
        b"\xff\xfe{}",
        naming("python3"),
        naming("../bin/python3"),
        naming(""),
    ],
    ids=lambda content: f"{content[:40]!r}",
)
def test_what_is_no_lock_is_said_to_be_none(lock, content):
    lock.write_bytes(content)

    with pytest.raises(UsageError, match="this is no container of envbuild") as raised:
        verify()

    assert raised.value.detail


def test_no_lock(lock):
    with pytest.raises(UsageError, match="this is no container of envbuild"):
        verify()


def test_a_folder(lock):
    lock.mkdir()

    with pytest.raises(UsageError, match="this is no container of envbuild"):
        verify()


def test_a_pipe_that_nobody_writes_to(lock):
    os.mkfifo(lock)

    with pytest.raises(UsageError, match="this is no container of envbuild"):
        verify()


def test_a_link_to_a_device_without_end(lock):
    lock.symlink_to("/dev/zero")

    with pytest.raises(UsageError, match="this is no container of envbuild"):
        verify()


def test_a_link_to_itself(lock):
    lock.symlink_to(lock)

    with pytest.raises(UsageError, match="this is no container of envbuild"):
        verify()


def test_the_largest_lock_and_a_byte_more(lock):
    lock.write_bytes(naming("/none"))
    os.truncate(lock, module.MOST_BYTES)

    # read, and no JSON: nothing is in the rest of it
    with pytest.raises(UsageError) as raised:
        verify()
    assert "MiB" not in (raised.value.detail or "")

    os.truncate(lock, module.MOST_BYTES + 1)
    with pytest.raises(UsageError) as raised:
        verify()
    assert raised.value.detail == "it has more than 64 MiB"


@pytest.mark.parametrize(
    "path",
    ["/no/such/python", "/", "/dev/null", "/bin/sh\0x", "/\ud800", f"/{'x' * 300}", "/x" * 5000],
    ids=["missing", "folder", "device", "NUL", "surrogate", "long name", "long path"],
)
def test_an_interpreter_that_is_no_file(lock, path):
    lock.write_bytes(naming(path))

    with pytest.raises(UsageError, match="the interpreter of this container cannot be started") as raised:
        verify()

    assert raised.value.message.isascii()
    assert len(raised.value.message) < 300
    assert raised.value.detail


@pytest.mark.parametrize(
    ("mode", "content"), [(0o644, b"#!/bin/sh\n"), (0o755, b"no program"), (0o755, b"#!/no\n")]
)
def test_an_interpreter_that_cannot_be_executed(lock, mode, content):
    program = lock.parent / "python"
    program.write_bytes(content)
    program.chmod(mode)
    lock.write_bytes(naming(str(program)))

    with pytest.raises(UsageError, match="the interpreter of this container cannot be started"):
        verify()


def test_an_interpreter_that_is_a_pipe(lock):
    os.mkfifo(lock.parent / "python")
    lock.write_bytes(naming(str(lock.parent / "python")))

    with pytest.raises(UsageError, match="the interpreter of this container cannot be started"):
        verify()
