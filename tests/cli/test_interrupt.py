import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.lock.model import Deb
from tests.rig.locks import deb, sample_lock
from tests.rig.program import Program
from tests.rig.terminal import CTRL_C, Terminal
from tests.rig.web import LoopbackServer, Request

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_told_to_end_leaves_no_files_and_no_programs(
    locked: Program, silent_server: LoopbackServer, tmp_path: Path, number: signal.Signals, status: int
):
    """As by a CI service that cancels a job, or a terminal that is closed."""
    locked.asks_for("demo")
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    running = locked.start(
        "lock", environment={"PIP_INDEX_URL": f"{silent_server.url}/simple/", "TMPDIR": str(temporary)}
    )
    # the first request may be our own, ahead of uv: it is uv that is to be ended
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _working_in(temporary) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _working_in(temporary)
    # the one that started it is told a moment later
    time.sleep(0.5)
    stdout, _ = _interrupted(running, silent_server, number)

    assert (running.returncode, stdout) == (status, "")
    assert list(temporary.iterdir()) == []
    assert not _working_in(temporary)


def _working_in(folder: Path) -> list[str]:
    """Return the command lines of all programs that speak of ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return [line for line in found if str(folder) in line]


def test_what_is_ignored_from_the_start_stays_ignored():
    """As by nohup."""
    script = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from envbuild.cli.termination import ending_in_order\n"
        "with ending_in_order():\n"
        "    os.kill(os.getpid(), signal.SIGHUP); print('goes on')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "goes on\n"


def test_an_interrupt_while_fetching_ends_the_downloads(program: Program, silent_server: LoopbackServer):
    lock = sample_lock()
    debs = tuple(deb.model_copy(update={"archive": "rig"}) for deb in lock.debs)
    program.has(lock.model_copy(update={"debs": debs}))

    running = program.start("render", "-o", "out", environment={"ENVBUILD_APT_MIRROR_RIG": silent_server.url})
    stdout, stderr = _interrupted(running, silent_server)

    assert (running.returncode, stdout) == (130, "")
    assert stderr == "  fetching artifacts\n\ninterrupted\n"
    assert not (program.folder / "out" / "seed.tar").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="the local engine starts anew without root")
def test_an_interrupt_while_assembling_ends_what_is_done_beside_it(
    program: Program, silent_server: LoopbackServer
):
    """Debian packages are fetched by the thread that is interrupted, wheels by another."""
    running = program.start(
        *("build", "--engine", "local"), environment=to_be_assembled(program, silent_server)
    )
    stdout, stderr = _interrupted(running, silent_server)

    assert (running.returncode, stdout) == (130, "")
    assert stderr.endswith("\n\ninterrupted\n")


@pytest.mark.parametrize("columns", [60, 200])
def test_an_interrupt_leaves_nothing_of_the_live_line(
    locked: Program, silent_server: LoopbackServer, columns: int
):
    locked.asks_for("demo")
    environment = {"PIP_INDEX_URL": f"{silent_server.url}/simple/"}
    with Terminal(
        *("-m", "envbuild", "lock"), columns=columns, folder=locked.folder, environment=environment
    ) as terminal:
        terminal.wait_for(lambda: silent_server.requests and terminal.live)
        terminal.type(CTRL_C)

        assert terminal.end() == 130
        assert terminal.lines == ["interrupted"]
        assert not terminal.screen.cursor.hidden


@pytest.mark.skipif(os.geteuid() != 0, reason="the local engine starts anew without root")
def test_an_interrupt_while_assembling_leaves_nothing_of_the_live_line(
    program: Program, silent_server: LoopbackServer
):
    """Two threads fetch, and both may report."""
    environment = to_be_assembled(program, silent_server)
    with Terminal(
        *("-m", "envbuild", "build", "--engine", "local"),
        columns=60,
        folder=program.folder,
        environment=environment,
    ) as terminal:
        terminal.wait_for(lambda: silent_server.requests and terminal.live)
        terminal.type(CTRL_C)

        assert terminal.end() == 130
        assert terminal.lines == ["interrupted"]
        assert not terminal.screen.cursor.hidden


def to_be_assembled(program: Program, server: LoopbackServer) -> dict[str, str]:
    """Lay down a lock whose files are all at a server, and return the environment that says so."""
    lock = sample_lock()
    python = deb("python3.11-minimal")
    debs = tuple(
        item.model_copy(update={"archive": "rig"}) for item in sorted((*lock.debs, python), key=by_file)
    )
    (base,) = lock.bases
    assert base.packages is not None
    packages = base.packages.model_copy(update={"debs": tuple(sorted((*base.packages.debs, python.file)))})
    bases = (base.model_copy(update={"packages": packages}),)
    program.has(lock.model_copy(update={"debs": debs, "bases": bases}))
    return {"ENVBUILD_APT_MIRROR_RIG": server.url, "PIP_INDEX_URL": f"{server.url}/simple/"}


def by_file(item: Deb) -> str:
    return item.file


def _interrupted(
    running: subprocess.Popen[str], server: LoopbackServer, number: signal.Signals = signal.SIGINT
) -> tuple[str, str]:
    """Interrupt a command as soon as it waits for `server`, and return what it said."""
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.requests, running.communicate(timeout=1)
        running.send_signal(number)
        return running.communicate(timeout=PATIENCE_SECONDS)
    finally:
        running.kill()
        running.wait()
