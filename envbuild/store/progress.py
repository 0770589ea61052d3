"""How far a fetch has come, as values for whoever shows it."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from envbuild.store.artifact import Artifact

EVERY_SECONDS = 0.1
"""How often a state is shown at most; the first and the last always are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchState:
    """How far a fetch has come."""

    files_done: int
    files_total: int
    """Files that were lacking when the fetch began."""

    bytes_done: int
    """What a stopped process had left counts as done.  May go back when a transfer starts over."""

    bytes_total: int

    current: tuple[str, ...]
    """File names being fetched now, in the order they were begun."""


class Progress(Protocol):
    """Where the state of a fetch is shown."""

    def show(self, state: FetchState) -> None:
        """Show ``state``.  Called from worker threads, one at a time; must return quickly."""


class NoProgress:
    """Shows nothing."""

    def show(self, state: FetchState) -> None:
        """Show nothing."""


class FetchTracker:
    """Adds up what the workers report."""

    def __init__(self, progress: Progress, artifacts: Iterable[Artifact]) -> None:
        """Start with all of ``artifacts``, which have distinct sha256, still to be fetched."""
        self._progress = progress
        self._sizes = {artifact.sha256: artifact.size for artifact in artifacts}
        self._positions: dict[str, int] = {}
        self._current: dict[str, str] = {}
        self._done: set[str] = set()
        self._shown = 0.0
        self._lock = threading.Lock()
        self._show(always=True)

    @contextlib.contextmanager
    def fetching(self, artifact: Artifact) -> Iterator[None]:
        """Count the artifact as being fetched, and as done if nothing is raised."""
        with self._lock:
            self._current[artifact.sha256] = artifact.filename
            self._show()
        try:
            yield
        except BaseException:
            with self._lock:
                del self._current[artifact.sha256]
            raise
        with self._lock:
            del self._current[artifact.sha256]
            self._done.add(artifact.sha256)
            self._positions[artifact.sha256] = artifact.size
            self._show(always=len(self._done) == len(self._sizes))

    def moved(self, artifact: Artifact, position: int) -> None:
        """Note how many bytes of the artifact there are."""
        with self._lock:
            self._positions[artifact.sha256] = position
            self._show()

    def _show(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if not always and now - self._shown < EVERY_SECONDS:
            return
        self._shown = now
        self._progress.show(
            FetchState(
                files_done=len(self._done),
                files_total=len(self._sizes),
                bytes_done=sum(self._positions.values()),
                bytes_total=sum(self._sizes.values()),
                current=tuple(self._current.values()),
            )
        )
