"""How far long work has come: one protocol for every kind of work, and the counter of bytes behind it."""

import threading
import time
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
