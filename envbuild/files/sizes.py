"""Sizes and numbers as people read them."""

from typing import Final

_UNITS: Final = ("kB", "MB", "GB", "TB")
_STEP: Final = 1000
_ONE_DECIMAL_BELOW: Final = 99.95


def readable_size(size: int) -> str:
    """Return a number of bytes in the largest fitting decimal unit: ``812 B``, ``5.3 MB``, ``120 MB``."""
    if size < _STEP:
        return f"{size} B"
    power = 1
    # what would be shown as 1000 takes the next unit
    while round(size / _STEP**power) >= _STEP and power < len(_UNITS):
        power += 1
    value = size / _STEP**power
    digits = 1 if value < _ONE_DECIMAL_BELOW else 0
    return f"{value:.{digits}f} {_UNITS[power - 1]}"


def counted(number: int, noun: str) -> str:
    """Return a number of things: ``1 file``, ``2 files``.  ``noun`` is the singular; it takes an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
