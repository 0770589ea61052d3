"""Long work on a terminal: one live line, what is said meanwhile above it, and nothing of it afterwards."""

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType, Segment
from rich.text import Text

from envbuild.cli.live_line import FRAME_SECONDS, LiveLine, Work
from envbuild.progress import SilentProgress
from envbuild.visible import visible

MEGABYTE = 1_000_000

ERASE = "\r\x1b[J"
"""To the end of the screen, not of the line: a terminal that was made narrower may have wrapped it."""

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
CUT, WRAP = "\x1b[?7l", "\x1b[?7h"
"""What becomes of a line that is too long, as when the terminal has just become narrower."""


class LiveProgress(SilentProgress, RenderHook):
    """Draws on stderr and clears up after itself.  Any thread may report at any time.

    The cursor rests at the start of the line.  So everything of the line is behind the cursor, even after the
    terminal became narrower and wrapped it, and can be erased without knowing how much that is.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, force_terminal=True)
        # reports come from several threads, and one more draws
        self._lock = threading.RLock()
        self._work = Work(text="")
        self._noted: set[str] = set()
        self._began = time.monotonic()
        self._is_over = threading.Event()
        self._drawing = threading.Thread(target=self._draw_on, name="live line", daemon=True)
        self._streams: tuple[TextIO, TextIO] | None = None

    def __enter__(self) -> Self:
        self._streams = sys.stdout, sys.stderr
        self._console.push_render_hook(self)
        # what others say on the terminal goes above the line
        if sys.stdout.isatty():
            sys.stdout = FileProxy(self._console, sys.stdout)
        sys.stderr = FileProxy(self._console, sys.stderr)
        self._print(_Codes(HIDE_CURSOR))
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            # a line that was begun
            sys.stderr.flush()
            self._is_over.set()
            self._console.pop_render_hook()
            if self._streams is not None:
                sys.stdout, sys.stderr = self._streams
            self._print(_Codes(ERASE + SHOW_CURSOR))
        self._drawing.join()

    def on_stage(self, text: str) -> None:
        """Start a new bar for ``text``."""
        with self._lock:
            is_new = text != self._work.text
            self._work = Work(text=text)
            if is_new:
                self._draw()

    def on_item(self, text: str) -> None:
        """Name it in the bar."""
        with self._lock:
            self._work = replace(self._work, text=text)

    def on_count(self, done: int, total: int) -> None:
        """Move the bar."""
        with self._lock:
            self._work = replace(self._work, done=done, total=total, amount=f"{done}/{total}")

    def on_bytes(self, done: int, total: int) -> None:
        """Move the bar, in megabytes."""
        amount = f"{done / MEGABYTE:.1f}/{total / MEGABYTE:.1f} MB"
        with self._lock:
            self._work = replace(self._work, done=done, total=total, amount=amount)

    def on_note(self, text: str) -> None:
        """Print the note above the bar, each text once."""
        with self._lock:
            if text not in self._noted:
                self._noted.add(text)
                # as text: brackets and colons of a note mean nothing to the terminal
                self._print(Text.assemble(("note:", "yellow"), " ", visible(text), "\n"))

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return ``renderables`` with the line after them."""
        with self._lock:
            work = self._work
        if not work.text:
            return renderables
        line = LiveLine(work=work, columns=self._columns() - 1, seconds=time.monotonic() - self._began)
        return [_Codes(ERASE), *renderables, _Codes(CUT), line, _Codes(f"{WRAP}\r")]

    def _columns(self) -> int:
        """Return the width of the terminal now, whatever COLUMNS says that it was."""
        try:
            return os.get_terminal_size(self._console.file.fileno()).columns or self._console.width
        except (OSError, ValueError):
            return self._console.width

    def _draw_on(self) -> None:
        while not self._is_over.wait(FRAME_SECONDS):
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            if not self._is_over.is_set():
                self._print(Control())

    def _print(self, shown: ConsoleRenderable) -> None:
        # a terminal that has gone shows nothing, and what is done goes on
        with contextlib.suppress(OSError):
            self._console.print(shown, end="", soft_wrap=True)


@dataclass(frozen=True, slots=True)
class _Codes:
    """What a terminal obeys and does not show."""

    codes: str

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        """Yield them; rich wants to be told that they are some, and not which."""
        yield Segment(self.codes, None, [(ControlType.CARRIAGE_RETURN,)])
