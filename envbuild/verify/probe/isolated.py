"""Work that may crash or hang, done in a process of its own: libraries are loaded, interpreters asked."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_MARK = "envbuild-answer:"
_PROLOGUE = f"""
import json
def reply(value):
    print("\\n" + {_MARK!r} + json.dumps(value))
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a value, or why there is none."""

    value: Any = None
    problem: str | None = None


def isolated(work: Callable[[], Any], *, seconds: float) -> Answer:
    """Return what ``work`` returns, a JSON value; exceptions, crashes and patience running out are problems.

    What it prints is lost: libraries may write where they like, and this program's output is a document.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        _work(work, read_end, write_end)
    os.close(write_end)
    text = _read(read_end, time.monotonic() + seconds)
    if text is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if text is None:
        return Answer(problem=f"no answer within {seconds:.0f} seconds")
    if os.WIFSIGNALED(status):
        return Answer(problem=f"crashed ({signal.Signals(os.WTERMSIG(status)).name})")
    try:
        value, problem = json.loads(text)
    except ValueError:
        return Answer(problem=f"ended without an answer, with status {os.waitstatus_to_exitcode(status)}")
    return Answer(value, problem)


def ask(python: str, program: str, *, seconds: float) -> Answer:
    """Return what ``program``, run by the interpreter ``python``, gives to ``reply``: a JSON value.

    The interpreter starts as it does for users, with site; whatever else it prints is passed over.

    :raises OSError: the interpreter cannot be started.
    """
    try:
        child = subprocess.run(
            [python, "-B", "-c", _PROLOGUE + program],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(problem=f"no answer within {seconds:.0f} seconds")
    # what an interpreter prints before the program runs does not count
    answers = [line for line in child.stdout.splitlines() if line.startswith(_MARK)]
    if answers:
        try:
            return Answer(json.loads(answers[-1][len(_MARK) :]))
        except ValueError:
            return Answer(problem="the interpreter's answer cannot be read")
    if child.returncode < 0:
        return Answer(problem=f"the interpreter was ended by signal {-child.returncode}")
    return Answer(problem=(child.stderr.strip().splitlines() or [f"exit status {child.returncode}"])[-1])


def _work(work: Callable[[], Any], read_end: int, write_end: int) -> None:
    """Run in the child; never returns."""
    try:
        os.close(read_end)
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
        try:
            answer = [work(), None]
        except Exception as error:  # noqa: BLE001 - the parent reports whatever it was
            answer = [None, str(error) or type(error).__name__]
        with os.fdopen(write_end, "wb") as stream:
            stream.write(json.dumps(answer).encode())
    finally:
        # nothing of the parent may run a second time: no exit handlers, no buffers
        os._exit(0)


def _read(pipe: int, deadline: float) -> bytes | None:
    """Return all that comes through, or None when the other end is still open at the deadline."""
    parts: list[bytes] = []
    with os.fdopen(pipe, "rb", buffering=0) as stream:
        while True:
            left = max(deadline - time.monotonic(), 0)
            if not select.select([stream], [], [], left)[0]:
                return None
            part = stream.read(1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)
