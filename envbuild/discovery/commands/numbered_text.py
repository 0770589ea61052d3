"""Text that knows the line of the file each of its characters stands in, even when lines were joined."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberedText:
    """Text of a file, or of a part of it."""

    text: str
    starts: tuple[int, ...] = (0,)
    """Offsets at which lines of the file start, ascending."""

    numbers: tuple[int, ...] = (1,)
    """The number of each of those lines."""

    def line_at(self, offset: int) -> int:
        """Return the number of the line that the character at ``offset`` stands in."""
        return self.numbers[max(bisect_right(self.starts, offset) - 1, 0)]

    def from_offset(self, offset: int) -> "NumberedText":
        """Return the text without what stands before ``offset``."""
        first = self.line_at(offset)
        rest = [
            (start - offset, number)
            for start, number in zip(self.starts, self.numbers, strict=True)
            if start > offset
        ]
        return NumberedText(
            self.text[offset:], (0, *(start for start, _ in rest)), (first, *(number for _, number in rest))
        )


def numbered(text: str, first: int = 1) -> NumberedText:
    """Return ``text`` whose first line has the number ``first``."""
    return joined([(line, first + index) for index, line in enumerate(text.split("\n"))], between="\n")


def joined(lines: Iterable[tuple[str, int]], *, between: str = "") -> NumberedText:
    """Return lines with their numbers as one text, ``between`` standing between two of them."""
    parts, starts, numbers, offset = [], [], [], 0
    for index, (line, number) in enumerate(lines):
        part = f"{between}{line}" if index else line
        starts.append(offset + len(part) - len(line))
        numbers.append(number)
        parts.append(part)
        offset += len(part)
    return NumberedText("".join(parts), (0, *starts[1:]), tuple(numbers)) if parts else NumberedText("")
