"""What a person and a program see: data on stdout, talk on stderr, errors in one form.

No other module of the command line writes to them.  All text is made visible here, since much of it comes
from images, locks and servers; ``raw`` alone writes text as it is.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from envbuild.cli.activity import LineProgress, LiveOnDemand
from envbuild.errors import EnvbuildError
from envbuild.progress import SILENT, Progress
from envbuild.visible import LONGEST, visible, visible_json, visible_lines

ProgressStyle = Literal["auto", "plain", "none"]

LONGEST_CELL = LONGEST // 2
"""So that a row is not cut a second time."""

RED, YELLOW, GREEN, BOLD, DIM, RESET = "31", "33", "32", "1", "2", "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where a command writes.  ``quiet`` leaves errors and data; ``as_json`` makes the data JSON."""

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False

    @property
    def talk(self) -> TextIO:
        """The stream for everything that is not data."""
        return sys.stderr

    def data(self, text: str) -> None:
        """Write a line another program may read, whatever its length."""
        self.raw(visible(text, limit=None))

    def page(self, text: str) -> None:
        """Write several lines as data."""
        for line in text.split("\n"):
            self.data(line)

    def raw(self, text: str) -> None:
        """Write what another program takes as it is, such as a Dockerfile."""
        sys.stdout.write(text + "\n")

    def document(self, value: Any) -> None:
        """Write a JSON document."""
        self.raw(visible_json(value))

    def say(self, text: str) -> None:
        """Tell a person what happened, on one line."""
        if not self.quiet:
            self.report([text])

    def detail(self, text: str) -> None:
        """Tell a person who asked for more."""
        if self.verbose:
            self.talk.write(self.styled(visible(text), DIM) + "\n")

    def aside(self, text: str) -> None:
        """Tell a person something small, on one line."""
        if not self.quiet:
            self.talk.write(self.styled(visible(text), DIM) + "\n")

    def note(self, text: str) -> None:
        """Warn of something the person can act on."""
        if not self.quiet:
            self.talk.write(f"{self.styled('note:', YELLOW)} {visible(text)}\n")

    def styled(self, text: str, *codes: str) -> str:
        """Return ``text`` in colour where the terminal shows it."""
        if not codes or not shows_colour(self.talk):
            return text
        return f"\033[{';'.join(codes)}m{text}\033[{RESET}m"

    def table(self, rows: Iterable[Sequence[str]], *, header: Sequence[str] = ()) -> None:
        """Tell rows in aligned columns."""
        for position, text in enumerate(() if self.quiet else aligned(rows, header=header)):
            self.talk.write(self.styled(text, BOLD) if header and position == 0 else text)
            self.talk.write("\n")

    def report(self, lines: Iterable[str]) -> None:
        """Write what a person must see, whether or not the command is to be quiet."""
        for line in lines:
            self.talk.write(visible(line) + "\n")

    def error(self, error: EnvbuildError) -> None:
        """Write an error, in the one form."""
        self.talk.write(error_text(error, self))

    def columns(self, rows: Iterable[Sequence[str]], *, header: Sequence[str] = ()) -> None:
        """Write rows in aligned columns as data."""
        for text in aligned(rows, header=header):
            self.data(text)

    def lines(self) -> Progress:
        """Return what shows long work as plain lines: for several pieces of work at once."""
        return SILENT if self.quiet else LineProgress(self.say, self.note)

    @contextlib.contextmanager
    def activity(self, style: ProgressStyle = "auto") -> Iterator[Progress]:
        """Show long work while it goes on: a live line on a terminal, plain lines elsewhere."""
        if style == "none":
            yield SILENT
        elif style == "auto" and not self.quiet and self.talk.isatty() and os.environ.get("TERM") != "dumb":
            with LiveOnDemand() as live:
                yield live
        else:
            yield self.lines()


def aligned(rows: Iterable[Sequence[str]], *, header: Sequence[str] = ()) -> Iterator[str]:
    """Yield rows as lines of aligned columns, the header first; nothing when there are no rows at all."""
    lines = [
        tuple(visible(cell, limit=LONGEST_CELL) for cell in row)
        for row in ((header, *rows) if header else rows)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        # cells together may be what none of them is
        yield visible(line, limit=None)


def shows_colour(stream: TextIO) -> bool:
    """Return whether ``stream`` is a terminal whose user did not decline colour (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def error_text(error: EnvbuildError, output: Output) -> str:
    """Return an error as it is shown: the fact, each problem, the evidence, then what to do."""
    lines = [f"{output.styled('error:', RED, BOLD)} {visible(error.message)}"]
    for problem in error.problems:
        lines.append(f"  • {visible(str(problem))}")
        if problem.hint:
            lines.append(f"    {output.styled('hint:', GREEN)} {visible(problem.hint)}")
    if error.detail:
        lines += [f"  {output.styled('|', DIM)} {line}" for line in visible_lines(error.detail)]
    if error.hint:
        lines += ["", f"{output.styled('hint:', GREEN)} {visible(error.hint)}"]
    return "\n".join(lines) + "\n"
