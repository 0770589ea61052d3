"""The one place that starts programs on this machine.

Argument lists only, never a shell; the environment is an argument; standard error is kept as evidence.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, NoReturn

from envbuild.errors import EnvbuildError, ToolMissingError

Stream = Literal["standard output", "standard error"]
OnLine = Callable[[str], None]

STANDARD_INPUT: Final = 0

_PIECE_BYTES: Final = 1 << 16

_running: set[subprocess.Popen[bytes]] = set()
_running_lock = threading.Lock()

MOST_INTERRUPTS: Final = 3

GRACE_SECONDS = 5.0
"""How long a program may take to end after SIGTERM before it is killed."""


class ProgramMissingError(ToolMissingError):
    """The program is not on this machine."""

    def __init__(self, program: str) -> None:
        super().__init__(f"`{program}` is not installed")
        self.program = program


class ProgramTimeoutError(EnvbuildError):
    """The program did not end in time and was stopped."""


class ProgramOutputError(EnvbuildError):
    """The program wrote more than it may and was stopped."""

    def __init__(self, program: str, stream: Stream, limit: int) -> None:
        super().__init__(f"`{program}` wrote more than {limit} bytes to {stream}")
        self.stream = stream


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """How a program ended."""

    arguments: tuple[str, ...]
    exit_status: int
    stdout_bytes: bytes = b""
    stderr_bytes: bytes = b""

    @property
    def stdout(self) -> str:
        """Standard output as text."""
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """Standard error as text."""
        return self.stderr_bytes.decode(errors="replace")

    @property
    def succeeded(self) -> bool:
        """Whether it exited with 0."""
        return self.exit_status == 0


def run(
    arguments: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    folder: Path | None = None,
    standard_input: bytes | None = None,
    timeout: float | None = None,
    output_limit: int | None = None,
    on_stdout_line: OnLine | None = None,
    on_stderr_line: OnLine | None = None,
    joined: socket.socket | None = None,
) -> ProcessResult:
    """Run a program to its end and return what it said; a failing exit status is not an error here.

    ``timeout`` is in seconds; ``output_limit`` in bytes, of each stream, and no more is kept in memory.
    ``on_stdout_line`` and ``on_stderr_line`` see each line as it comes, a long one in pieces where there is a
    limit.  ``joined`` is the program's standard input and output instead of pipes; it is closed here.  On
    Ctrl-C, or any other exception in this thread, the program and its children are ended first.

    :raises ProgramMissingError: the program cannot be found.
    :raises ProgramTimeoutError: it was still running after ``timeout`` seconds.
    :raises ProgramOutputError: it wrote more than ``output_limit``.
    """
    if isinstance(arguments, (str, bytes)):
        raise TypeError("arguments must be a list, never a shell string")
    words = tuple(str(argument) for argument in arguments)
    with joined or contextlib.nullcontext():
        child = _start(
            words,
            environment=environment,
            folder=folder,
            has_input=standard_input is not None,
            joined=joined,
        )
    with _running_lock:
        _running.add(child)
    stdout, stderr = bytearray(), bytearray()
    beyond: list[Stream] = []

    def collect(stream: Stream, pipe: IO[bytes] | None, kept: bytearray, on_line: OnLine | None) -> None:
        if pipe is not None and not _collect(pipe, kept, on_line, limit=output_limit):
            beyond.append(stream)
            _end(child)

    streams = (
        ("standard output", child.stdout, stdout, on_stdout_line),
        ("standard error", child.stderr, stderr, on_stderr_line),
    )
    readers = [threading.Thread(target=collect, args=stream, daemon=True) for stream in streams]
    try:
        for reader in readers:
            reader.start()
        if child.stdin is not None:
            with contextlib.suppress(BrokenPipeError), child.stdin:
                child.stdin.write(standard_input or b"")
        _wait(child, readers, timeout)
    except subprocess.TimeoutExpired as error:
        _end(child)
        raise ProgramTimeoutError(f"`{words[0]}` did not finish within {timeout:.0f} seconds") from error
    except BaseException:
        _end(child)
        raise
    finally:
        with _running_lock:
            _running.discard(child)
    for reader in readers:
        reader.join()
    if beyond:
        raise ProgramOutputError(words[0], beyond[0], output_limit or 0)
    return ProcessResult(
        arguments=words,
        exit_status=child.returncode,
        stdout_bytes=bytes(stdout),
        stderr_bytes=bytes(stderr),
    )


def end_all() -> None:
    """End every program that :func:`run` waits for in any thread: an interrupt reaches the main one only."""
    with _running_lock:
        children = tuple(_running)
    for child in children:
        _end(child)


@contextlib.contextmanager
def ending_programs() -> Iterator[None]:
    """End every program that :func:`run` waits for, in any thread, when the block is interrupted."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        end_all()
        raise


def run_attached(
    arguments: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    kept: Sequence[int] = (),
    interrupt: int = signal.SIGINT,
    tell: Callable[[int], bool] | None = None,
    apart: bool = False,
) -> int:
    """Run a program on this terminal's own streams and return its exit status.

    Ctrl-C reaches the program through the terminal; it decides what to do with it.  An interrupt that comes
    from elsewhere, such as a supervisor, is passed on as the signal ``interrupt``.  Whatever else ends this
    thread ends the program first.  ``kept`` are descriptors that it gets besides its streams.  The settings
    of the terminal are the same afterwards, whatever the program did to them.

    A program that only shows what runs elsewhere is not told itself: ``tell`` sends a signal there, and
    returns whether it arrived; the third interrupt ends it, for that may not listen.  With ``apart`` it has a
    session of its own, where no terminal interrupts it.

    :raises ProgramMissingError: the program cannot be found.
    """
    words = [str(argument) for argument in arguments]
    with terminal_settings_kept():
        try:
            child = subprocess.Popen(words, env=dict(environment), pass_fds=kept, start_new_session=apart)
        except FileNotFoundError as error:
            raise ProgramMissingError(words[0]) from error
        interrupts = 0
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                interrupts += 1
                if tell is not None:
                    tell(signal.SIGINT)
                    if interrupts == MOST_INTERRUPTS:
                        _end_attached(child, tell)
                        raise
                elif not _is_interrupted_by_terminal():
                    child.send_signal(interrupt)
            except BaseException:
                _end_attached(child, tell)
                raise


def _is_interrupted_by_terminal() -> bool:
    """Return whether Ctrl-C on a terminal would interrupt this process, and all others of its job."""
    try:
        import termios  # noqa: PLC0415 - Windows has none

        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except (ImportError, OSError):
        return False
    try:
        is_raw = not termios.tcgetattr(terminal)[3] & termios.ISIG
        return not is_raw and os.tcgetpgrp(terminal) == os.getpgrp()
    except (termios.error, OSError):
        return False
    finally:
        os.close(terminal)


def _end_attached(child: subprocess.Popen[bytes], tell: Callable[[int], bool] | None) -> None:
    """End a program on this terminal's own streams: it, or what it shows, gets time to end in order."""
    if tell is not None and tell(signal.SIGTERM):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
            return
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextlib.contextmanager
def terminal_settings_kept() -> Iterator[None]:
    """Have the terminal of standard input, if it is one, as it was at the end of the block.

    A program that is killed leaves it without echo and line ends.
    """
    try:
        import termios  # noqa: PLC0415 - Windows has none
    except ImportError:
        yield
        return
    try:
        before = termios.tcgetattr(STANDARD_INPUT)
    except termios.error:
        yield
        return
    try:
        yield
    finally:
        # a process in the background would be stopped
        with contextlib.suppress(termios.error, OSError):
            if os.tcgetpgrp(STANDARD_INPUT) == os.getpgrp():
                termios.tcsetattr(STANDARD_INPUT, termios.TCSADRAIN, before)


def replace(arguments: Sequence[str | Path], *, environment: Mapping[str, str]) -> NoReturn:
    """Let a program take this one's place: same process, same streams, and nothing of this one left.

    :raises ProgramMissingError: the program cannot be found.
    """
    words = [str(argument) for argument in arguments]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        os.execvpe(words[0], words, dict(environment))  # noqa: S606 - there is no shell in it
    except FileNotFoundError as error:
        raise ProgramMissingError(words[0]) from error


def _start(
    words: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    folder: Path | None,
    has_input: bool,
    joined: socket.socket | None,
) -> subprocess.Popen[bytes]:
    pipe_or_nothing = subprocess.PIPE if has_input else subprocess.DEVNULL
    try:
        return subprocess.Popen(
            words,
            env=dict(environment),
            cwd=folder,
            stdin=joined.fileno() if joined else pipe_or_nothing,
            stdout=joined.fileno() if joined else subprocess.PIPE,
            stderr=subprocess.PIPE,
            # a group of its own, so that the program's children end with it
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise ProgramMissingError(words[0]) from error


def _wait(child: subprocess.Popen[bytes], readers: Sequence[threading.Thread], timeout: float | None) -> None:
    """Wait until a program has ended.  :raises subprocess.TimeoutExpired: it has not after ``timeout``."""
    if timeout is None:
        child.wait()
        return
    deadline = time.monotonic() + timeout
    # its streams end with it: to wait for that wakes at once, while `wait` looks every 50 milliseconds
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    child.wait(max(0.0, deadline - time.monotonic()))


def _collect(stream: IO[bytes], kept: bytearray, on_line: OnLine | None, *, limit: int | None) -> bool:
    """Read a stream to its end; False: it has more than ``limit`` bytes, and was closed."""
    with stream:
        while piece := _piece(stream, lines=on_line is not None, bounded=limit is not None):
            if limit is not None and len(kept) + len(piece) > limit:
                return False
            kept += piece
            if on_line is not None:
                on_line(piece.decode(errors="replace").rstrip("\r\n"))
    return True


def _piece(stream: IO[bytes], *, lines: bool, bounded: bool) -> bytes:
    if lines:
        return stream.readline(_PIECE_BYTES if bounded else -1)
    # what is there, without waiting for more; nothing is in the buffer of a stream read only like this
    return os.read(stream.fileno(), _PIECE_BYTES)


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
