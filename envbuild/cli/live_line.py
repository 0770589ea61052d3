"""The live line of a terminal at one moment, and how it fits into its width."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.style import Style

from envbuild.visible import visible

FRAME_SECONDS = 0.1
"""Between two drawings of the line."""

MOST_COLUMNS = 120
"""A wider line is no better to read."""

LEAST_TEXT = 16
"""Columns of the text for which the bar, then the amount, then the clock give way."""

SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
ASCII_SPINNER: Final = "-\\|/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is being done, and how much of it is."""

    text: str
    amount: str = ""
    done: int = 0
    total: int | None = None
    """None while nobody has said it: the bar then only shows that work goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLine:
    """The line at one moment, at most ``columns`` wide."""

    work: Work
    columns: int
    seconds: float
    """Since the activity began."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the spinner, the text, the bar, the amount and the clock, as far as there is room."""
        spinner = ASCII_SPINNER if options.ascii_only else SPINNER
        room = min(self.columns, MOST_COLUMNS) - 2
        parts: list[Iterable[Segment]] = []
        for width, part in self._parts(console, options, clock_of(self.seconds)):
            if width and room - width - 1 >= LEAST_TEXT:
                room -= width + 1
                parts.append(part)
        yield Segment(spinner[int(self.seconds / FRAME_SECONDS) % len(spinner)], Style(color="green"))
        yield Segment(" ")
        yield Segment(shortened(self.work.text, room, "..." if options.ascii_only else "…"))
        # they were chosen by weight, and stand the other way round
        for part in reversed(parts):
            yield Segment(" ")
            yield from part

    def _parts(
        self, console: Console, options: ConsoleOptions, clock: str
    ) -> Iterable[tuple[int, Iterable[Segment]]]:
        """Yield what may stand right of the text with its width, what is wanted most first."""
        work, width = self.work, max(10, min(24, self.columns // 5))
        yield len(clock), [Segment(clock, Style(color="yellow"))]
        yield len(work.amount), [Segment(work.amount)]
        bar = ProgressBar(
            total=work.total,
            completed=work.done,
            width=width,
            pulse=work.total is None,
            animation_time=self.seconds,
        )
        yield width, console.render(bar, options.update(width=width))


def clock_of(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def shortened(text: str, width: int, mark: str = "…") -> str:
    """Return ``text`` as one line of at most ``width`` columns, with ``mark`` in the place of what is cut."""
    shown = visible(" ".join("".join(sign if sign.isprintable() else " " for sign in text).split()))
    if cell_len(shown) <= width:
        return shown
    return set_cell_size(shown, max(0, width - len(mark))).rstrip() + mark
