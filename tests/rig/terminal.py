"""A program on a terminal: a real pseudo-terminal, and an emulator that knows what its user would see."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte

from envbuild.cli.live import ERASE
from envbuild.cli.live_line import SPINNER

ROOT = Path(__file__).resolve().parents[2]
ROWS = 24
CTRL_C = "\x03"
PATIENCE_SECONDS = 60.0
_FRAME = re.compile(b"(?=" + re.escape(ERASE.encode()) + b")")


class ReflowingScreen(pyte.Screen):
    """Wraps its lines when it becomes narrower, as most terminals do; xterm, like pyte's, cuts them."""

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Wrap the lines; the cursor stays on its sign."""
        old, row, column = [line.rstrip() for line in self.display], self.cursor.y, self.cursor.x
        super().resize(lines, columns)
        width = self.columns
        wrapped = [[line[at : at + width] for at in range(0, max(1, len(line)), width)] for line in old]
        row = sum(len(pieces) for pieces in wrapped[:row]) + column // width
        pieces = [piece for line in wrapped for piece in line]
        used = max(row + 1, *(number + 1 for number, piece in enumerate(pieces) if piece), 1)
        gone = max(0, used - self.lines)
        self.erase_in_display(2)
        for number, piece in enumerate(pieces[gone:used]):
            self.cursor_position(number + 1, 1)
            self.draw(piece)
        self.cursor_position(row - gone + 1, column % width + 1)


class Terminal:
    """Runs a Python program as the foreground job of a terminal of its own.

    No frame may show two live lines, or one that takes two rows: each is checked.  The program finds the pipe
    that :meth:`go_on` writes to in STEPS.
    """

    def __init__(
        self,
        *arguments: str,
        columns: int = 80,
        folder: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        reflows: bool = False,
    ) -> None:
        self.screen = (ReflowingScreen if reflows else pyte.Screen)(columns, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self.frames: list[str] = []
        """Texts of the live line, each time that it was drawn."""
        self._master, slave = os.openpty()
        self._set_size(columns)
        reading, self._steps = os.pipe()
        settings = {key: value for key, value in os.environ.items() if key not in _MISLEADING}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={
                **settings,
                "TERM": "xterm-256color",
                "PYTHONPATH": str(ROOT),
                "STEPS": str(reading),
                **(environment or {}),
            },
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=[reading],
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - the two calls in it take no lock
        )
        os.close(slave)
        os.close(reading)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._steps)

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def live(self) -> list[str]:
        """The live lines on the screen."""
        return [line for line in self.lines if line[0] in SPINNER]

    def go_on(self) -> None:
        """Let the program do its next step."""
        os.write(self._steps, b".")

    def type(self, keys: str) -> None:
        """Press keys: the terminal sends a signal, or echoes, as it does for a person."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int) -> None:
        """Make the window narrower or wider."""
        self.screen.resize(columns=columns)
        self._set_size(columns)

    def settings(self) -> list[Any]:
        """Return what is set on the terminal: echo, signals, line ends."""
        return termios.tcgetattr(self._master)

    def wait_for(self, shown: Callable[[], object]) -> None:
        """Read until the screen is as wanted."""
        while not shown():
            assert self._read(), ("the program ended", self.lines)

    def end(self) -> int:
        """Read until the program ends, and return its exit status."""
        while self._read():
            pass
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE_SECONDS)
        assert ready, ("the program says nothing", self.lines)
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            # so Linux tells the end of a pseudo-terminal
            return False
        for frame in _FRAME.split(data):
            self._stream.feed(frame)
            if not frame.startswith(ERASE.encode()):
                continue
            live = self.live
            assert len(live) <= 1, live
            # nothing below it either: that would be the rest of it
            assert not live or self.lines[-1] == live[0], self.lines
            self.frames += [line for line in live if line.endswith(_clock(line))]
        return bool(data)

    def _set_size(self, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))


_MISLEADING = frozenset({"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM"})


def _clock(line: str) -> str:
    found = re.search(r"\d+:\d\d:\d\d$", line)
    return found[0] if found else "\0"


def _take_terminal() -> Any:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def told(frames: Sequence[str]) -> list[str]:
    """Return the texts of live lines in the order they were first shown, without spinner, bar and clock."""
    texts = [re.split(r"\s+(?:[━╸╺]+|\d+:\d\d:\d\d)", frame[2:])[0] for frame in frames]
    return list(dict.fromkeys(texts))
