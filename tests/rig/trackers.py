"""The real trackers, in a virtual environment of their own, and MLflow's real server."""

import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic

from tests.rig.paths import SCRIPTS
from tests.rig.web import free_port

START_SECONDS = 180
"""How long the server may take: it imports much, and writes its tables first."""

QUIET: Mapping[str, str] = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # five more processes, each with all of MLflow imported, for jobs that no test starts
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
}
"""Variables with which no tracker asks a server that a test did not start, and starts nothing needless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowServer:
    """A tracking server that answers on the loopback interface."""

    url: str
    """What `MLFLOW_TRACKING_URI` is set to."""

    log: Path


@cache
def tracker_python() -> Path:
    """Return the Python of the trackers; their programs (`mlflow`, `dvc`, …) lie beside it.

    The first call on a machine installs them from its index; see `scripts/trackers`.
    """
    done = subprocess.run([SCRIPTS / "trackers"], capture_output=True, text=True, timeout=1200, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return Path(done.stdout.strip())


def run_tracker(
    arguments: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    check: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Run a program of the trackers' environment (`python`, `dvc`, …) in ``folder``.

    With ``check`` an exit code other than 0 is an error that says what the program said.
    """
    binaries = tracker_python().parent
    program, *rest = arguments
    done = subprocess.run(
        [binaries / program, *rest],
        cwd=folder,
        env=tracker_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if check and done.returncode != 0:
        message = f"{program} exited {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        raise RuntimeError(message)
    return done


def tracker_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's variables with the trackers' programs found first, `QUIET`, and ``more``."""
    path = f"{tracker_python().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, **QUIET, "PATH": path, **(more or {})}


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    """Run MLflow's server on a free port, its SQLite file and artifacts in ``folder``; end it on the way out.

    It serves the artifacts itself: a client needs nothing but the address.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log = folder / "server.log"
    command = [
        *(str(tracker_python()), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts"), "--workers", "1"),
    ]
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            command,
            cwd=folder,
            env=tracker_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            # its workers are children: the group is ended, and only that
            start_new_session=True,
        ) as process,
    ):
        try:
            server = MlflowServer(url=f"http://127.0.0.1:{port}", log=log)
            _wait(process, server)
            yield server
        finally:
            _end(process)


def _wait(process: "subprocess.Popen[bytes]", server: MlflowServer) -> None:
    end = monotonic() + START_SECONDS
    while monotonic() < end:
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=10) as answer:
                if answer.status == 200:
                    return
        except (OSError, urllib.error.URLError):
            pass
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"MLflow's server does not answer\n{server.log.read_text('utf-8')[-4000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=20)
