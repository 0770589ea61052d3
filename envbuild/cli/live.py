"""Long work on a terminal: one live line with a bar, and what is done above it."""

import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from envbuild.cli.output import Activity

MEGABYTE = 1_000_000


class LiveActivity(Activity):
    """Draws on stderr and clears up after itself.  Any thread may report at any time."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        # rich guards each of its calls, not two that belong together
        self._lock = threading.Lock()
        self._task: TaskID | None = None
        self._noted: set[str] = set()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_stage(self, text: str) -> None:
        """Start a new bar for ``text``."""
        with self._lock:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(text, total=None, amount="")

    def on_item(self, text: str) -> None:
        """Name it in the bar."""
        with self._lock:
            if self._task is not None:
                self._progress.update(self._task, description=text)

    def on_count(self, done: int, total: int) -> None:
        """Move the bar."""
        with self._lock:
            if self._task is not None:
                self._progress.update(self._task, completed=done, total=total, amount=f"{done}/{total}")

    def on_bytes(self, done: int, total: int) -> None:
        """Move the bar, in megabytes."""
        with self._lock:
            if self._task is not None:
                amount = f"{done / MEGABYTE:.1f}/{total / MEGABYTE:.1f} MB"
                self._progress.update(self._task, completed=done, total=total, amount=amount)

    def on_note(self, text: str) -> None:
        """Print the note above the bar, each text once."""
        with self._lock:
            if text not in self._noted:
                self._noted.add(text)
                # as text: brackets and colons of a note mean nothing to the terminal
                self._console.print(Text.assemble(("note:", "yellow"), " ", text))
