import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tests.cli.program import Program
from tests.rig.locks import sample_lock
from tests.rig.web import LoopbackServer, Request

PATIENCE_SECONDS = 20.0


@pytest.fixture
def silent_server() -> Iterator[LoopbackServer]:
    """Run a server that takes requests and does not answer before the end of the test."""
    over = threading.Event()

    def wait(_: Request) -> None:
        over.wait(PATIENCE_SECONDS * 2)

    with LoopbackServer(wait) as server:
        yield server
        over.set()


def test_an_interrupt_while_locking_leaves_the_old_lock_and_no_files(
    locked: Program, silent_server: LoopbackServer
):
    locked.asks_for("demo")
    before = locked.lock.read_bytes()

    running = locked.start("lock", environment={"PIP_INDEX_URL": f"{silent_server.url}/simple/"})
    stdout, stderr = _interrupted(running, silent_server)

    assert (running.returncode, stdout) == (130, "")
    assert stderr == (
        "  base of default on linux/amd64\n  resolving Python packages with uv\n\ninterrupted\n"
    )
    assert locked.lock.read_bytes() == before
    assert sorted(path.name for path in locked.folder.iterdir()) == ["envbuild.lock", "envbuild.toml"]


def test_an_interrupt_while_fetching_ends_the_downloads(program: Program, silent_server: LoopbackServer):
    lock = sample_lock()
    debs = tuple(deb.model_copy(update={"archive": "rig"}) for deb in lock.debs)
    program.has(lock.model_copy(update={"debs": debs}))

    running = program.start("render", "-o", "out", environment={"ENVBUILD_APT_MIRROR_RIG": silent_server.url})
    stdout, stderr = _interrupted(running, silent_server)

    assert (running.returncode, stdout) == (130, "")
    assert stderr == "  fetching artifacts\n\ninterrupted\n"
    assert not (program.folder / "out" / "seed.tar").exists()


def _interrupted(running: subprocess.Popen[str], server: LoopbackServer) -> tuple[str, str]:
    """Interrupt a command as soon as it waits for `server`, and return what it said."""
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.requests
        running.send_signal(signal.SIGINT)
        return running.communicate(timeout=PATIENCE_SECONDS)
    finally:
        running.kill()
        running.wait()
