"""How much is taken of a tracker, and files that are read to that bound."""

import contextlib
import math
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from envbuild.errors import RecordError
from envbuild.formats.json_text import parse_json

MOST_VALUES: Final = 500
"""Of parameters, of metrics and of artifacts."""

LONGEST_VALUE: Final = 500
"""Characters."""

LARGEST_FILE: Final = 4 << 20

MOST_NODES: Final = 100_000
"""Of a YAML document, what is repeated by reference counted each time."""


def read_file(path: Path, limit: int = LARGEST_FILE) -> bytes | None:
    """Return the content of a regular file; None: there is none.

    :raises RecordError: it is larger than ``limit`` bytes, or cannot be read.
    """
    try:
        # a pipe would be waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise RecordError(f"{path} cannot be read: {reason}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise RecordError(f"{path} has more than {limit >> 10} KiB")
    return content


def read_below(root: Path, name: str, limit: int = LARGEST_FILE) -> bytes | None:
    """Return the content of a regular file below a folder; None: there is none, or links lead out of it.

    :raises RecordError: see :func:`read_file`.
    """
    return read_file(root / name, limit) if is_below(root, root / name) else None


def is_below(root: Path, path: Path) -> bool:
    """Return whether a path leads into a folder, or to it, whatever links are on the way."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    except ValueError:
        return False


def parse_yaml(content: bytes) -> object:
    """Return the value of a YAML document of plain values.

    :raises ValueError: it is not YAML, or it is or becomes too large.
    """
    import yaml  # noqa: PLC0415 - slow to load

    # ten times as fast, where it was built
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(content, Loader=loader)  # noqa: S506 - both are safe ones
    except (yaml.YAMLError, RecursionError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        # its constructors of plain values raise the latter for values that are none
        raise ValueError("it is no YAML") from error
    _require_few(found)
    return found


def _require_few(document: object) -> None:
    left, number = [document], 0
    while left:
        value = left.pop()
        number += 1
        if number + len(left) > MOST_NODES:
            raise ValueError(f"it has more than {MOST_NODES:,} values")
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list | tuple | set):
            left += value


def read_json_table(root: Path, name: str) -> Mapping[str, Any]:
    """Return the table in a JSON file below a folder; empty: there is no such file, or it holds none."""
    content = read_below(root, name)
    found: object = None
    if content is not None:
        with contextlib.suppress(ValueError):
            found = parse_json(content)
    return found if isinstance(found, dict) else {}


def texts(items: Iterable[tuple[object, object]]) -> dict[str, str]:
    """Return pairs of text, sorted, as many and as long as are taken."""
    found: dict[str, str] = {}
    for key, value in items:
        if isinstance(key, str) and isinstance(value, str | int | float):
            # Python writes no number of thousands of digits
            with contextlib.suppress(ValueError):
                found[key[:LONGEST_VALUE]] = str(value)[:LONGEST_VALUE]
    return dict(sorted(found.items())[:MOST_VALUES])


def numbers(items: Iterable[tuple[object, object]]) -> dict[str, float]:
    """Return pairs of a text and a number, sorted, as many as are taken; what is no number is left out."""
    found: dict[str, float] = {}
    for key, value in items:
        if isinstance(key, str) and isinstance(value, int | float) and not isinstance(value, bool):
            with contextlib.suppress(OverflowError):
                number = float(value)
                if math.isfinite(number):
                    found[key[:LONGEST_VALUE]] = number
    return dict(sorted(found.items())[:MOST_VALUES])


def paths(items: Iterable[object]) -> tuple[str, ...]:
    """Return texts, sorted, as many and as long as are taken."""
    found = {item[:LONGEST_VALUE] for item in items if isinstance(item, str) and item}
    return tuple(sorted(found)[:MOST_VALUES])


def nothing_recorded(source: str, looked: Iterable[str], how: str) -> RecordError:
    """Return the error of a run without a record: what was looked at, and how runs get one."""
    return RecordError(
        f"{source} has no record of envbuild",
        detail="\n".join(f"looked at: {place}" for place in looked),
        hint=how,
    )
