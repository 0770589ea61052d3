"""Long work shown while it goes on: as plain lines, or as the live line of a terminal."""

import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from envbuild.progress import SILENT, Progress, SilentProgress


class LineProgress(SilentProgress):
    """Says each stage and each note once: for logs and CI."""

    def __init__(self, say: Callable[[str], None], note: Callable[[str], None]) -> None:
        self._say, self._note = say, note
        self._said: set[str] = set()
        self._noted: set[str] = set()

    def on_stage(self, text: str) -> None:
        """Say the stage, each text once."""
        if text not in self._said:
            self._said.add(text)
            self._say(f"  {text}")

    def on_note(self, text: str) -> None:
        """Say the note, each text once."""
        if text not in self._noted:
            self._noted.add(text)
            self._note(text)


class LiveOnDemand:
    """The live line of a terminal, opened by the first report: a command with nothing to do shows nothing."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._live: Progress | None = None
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            # threads that were left behind may still report
            self._is_over = True
        self._stack.__exit__(kind, value, trace)

    def on_stage(self, text: str) -> None:
        """Show the stage."""
        self._opened().on_stage(text)

    def on_item(self, text: str) -> None:
        """Show the item."""
        self._opened().on_item(text)

    def on_count(self, done: int, total: int) -> None:
        """Show the count."""
        self._opened().on_count(done, total)

    def on_bytes(self, done: int, total: int) -> None:
        """Show the bytes."""
        self._opened().on_bytes(done, total)

    def on_note(self, text: str) -> None:
        """Show the note."""
        self._opened().on_note(text)

    def _opened(self) -> Progress:
        with self._lock:
            if self._live is None and not self._is_over:
                from envbuild.cli.live import LiveProgress

                self._live = self._stack.enter_context(LiveProgress())
            return self._live or SILENT
