"""How far long work has come: one protocol for every kind of work, and the counter of bytes behind it."""

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

EVERY_SECONDS = 0.1
"""How often a counter of bytes reports at most; its first and its last report always go out."""


class Progress(Protocol):
    """Receives what is happening; may be called from any thread, and must return quickly."""

    def on_stage(self, text: str) -> None:
        """Note that ``text`` is now being done; a count before it no longer holds."""

    def on_item(self, text: str) -> None:
        """Note what of this stage is being looked at right now; there may be hundreds."""

    def on_count(self, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` things of this stage are finished."""

    def on_bytes(self, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` bytes of this stage are moved; ``done`` may go back."""

    def on_note(self, text: str) -> None:
        """Note a fact the user should see once, such as a yanked release."""


class SilentProgress:
    """Shows nothing."""

    def on_stage(self, text: str) -> None:
        """Do nothing."""

    def on_item(self, text: str) -> None:
        """Do nothing."""

    def on_count(self, done: int, total: int) -> None:
        """Do nothing."""

    def on_bytes(self, done: int, total: int) -> None:
        """Do nothing."""

    def on_note(self, text: str) -> None:
        """Do nothing."""


SILENT: Final = SilentProgress()


class SharedDisplay:
    """One display for several works at once: what one of them reports stands below its own stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._shown: object = None
        self._lock = threading.Lock()

    def work(self) -> Progress:
        """Return the progress of one of the works."""
        return _DisplayedWork(self)

    def report(
        self, work: "_DisplayedWork", report: Callable[[Progress], None], *, is_stage: bool = False
    ) -> None:
        """Pass on what ``work`` reports, after its stage where that of another is shown."""
        with self._lock:
            if self._shown is not work and not is_stage and work.stage:
                self._progress.on_stage(work.stage)
            self._shown = work
            report(self._progress)

    def note(self, text: str) -> None:
        """Pass on a note, which is of no stage."""
        self._progress.on_note(text)


class _DisplayedWork:
    """One of the works that share a display."""

    def __init__(self, display: SharedDisplay) -> None:
        self._display = display
        self.stage = ""

    def on_stage(self, text: str) -> None:
        """Show the stage."""
        self.stage = text
        self._display.report(self, lambda progress: progress.on_stage(text), is_stage=True)

    def on_item(self, text: str) -> None:
        """Show the item."""
        self._display.report(self, lambda progress: progress.on_item(text))

    def on_count(self, done: int, total: int) -> None:
        """Show the count."""
        self._display.report(self, lambda progress: progress.on_count(done, total))

    def on_bytes(self, done: int, total: int) -> None:
        """Show the bytes."""
        self._display.report(self, lambda progress: progress.on_bytes(done, total))

    def on_note(self, text: str) -> None:
        """Show the note."""
        self._display.note(text)


class ByteCounter:
    """Adds up the bytes that several threads move, and reports the sum now and then."""

    def __init__(self, progress: Progress, total: int) -> None:
        """Start at none of ``total`` bytes; where there are none to move, nothing is reported."""
        self._progress = progress
        self._total = total
        self._done = 0
        self._reported = 0.0
        self._lock = threading.Lock()
        if total:
            self._report(time.monotonic())

    def add(self, size: int) -> None:
        """Count ``size`` more bytes; fewer when something must be moved again."""
        with self._lock:
            self._done += size
            now = time.monotonic()
            if self._done == self._total or now - self._reported >= EVERY_SECONDS:
                self._report(now)

    def _report(self, now: float) -> None:
        self._reported = now
        self._progress.on_bytes(self._done, self._total)
