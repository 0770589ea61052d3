"""Bytes that several threads move, counted together."""

import threading
from collections.abc import Callable


class Count:
    """Counts bytes and tells of each step; safe to share between threads."""

    def __init__(self, on_bytes: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._done = self._total = 0

    def start(self, total: int) -> None:
        """Begin anew, towards ``total`` bytes."""
        with self._lock:
            self._done, self._total = 0, total
            self._on_bytes(0, total)

    def add(self, size: int) -> None:
        """Count ``size`` more bytes; fewer when something must be sent again."""
        with self._lock:
            self._done += size
            self._on_bytes(self._done, self._total)
