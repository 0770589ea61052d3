import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.cli.program import Program
from tests.rig.web import LoopbackServer, Request

PATIENCE_SECONDS = 20.0


@pytest.fixture
def silent_index() -> Iterator[LoopbackServer]:
    """Run an index that takes requests and does not answer before the end of the test."""
    over = threading.Event()

    def wait(_: Request) -> None:
        over.wait(PATIENCE_SECONDS * 2)

    with LoopbackServer(wait) as server:
        yield server
        over.set()


def test_an_interrupt_while_locking_leaves_the_old_lock_and_no_files(
    locked: Program, silent_index: LoopbackServer
):
    locked.asks_for("demo")
    before = locked.lock.read_bytes()
    running = locked.start("lock", environment={"PIP_INDEX_URL": f"{silent_index.url}/simple/"})
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not silent_index.requests and time.monotonic() < deadline:
            time.sleep(0.02)
        assert silent_index.requests

        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=PATIENCE_SECONDS)
    finally:
        running.kill()
        running.wait()

    assert (running.returncode, stdout) == (130, "")
    assert stderr == (
        "  base of default on linux/amd64\n  resolving Python packages with uv\n\ninterrupted\n"
    )
    assert locked.lock.read_bytes() == before
    assert sorted(path.name for path in locked.folder.iterdir()) == ["envbuild.lock", "envbuild.toml"]
