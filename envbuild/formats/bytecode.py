"""What is said to and by the program that compiles the sources of one wheel (``compile.py`` of the recipe).

Laid beside the install script in the recipe, as :mod:`envbuild.formats.wheel_files` is, and used by the local
engine: both start the same program in the same way, so that the same bytes come out.
"""

from __future__ import annotations

import base64
import posixpath
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT: Mapping[str, str] = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
"""All that the program gets; before 3.11 the order of a set in bytecode followed the hash seed."""

_ISOLATES_AND_STAYS_THE_SAME = (3, 11)


BATCH_BYTES = 8_000_000
"""Of sources, after which a fresh interpreter goes on: what compiling needs does not grow with the wheel."""

Run = Callable[[tuple[str, ...], bytes], bytes]
"""Runs the interpreter with arguments and standard input, and returns its standard output."""


class CompileError(Exception):
    """The program failed."""


class OutputError(CompileError):
    """What the program wrote is not in its form."""


class Compiled(NamedTuple):
    """What came of one batch of sources."""

    version: str
    """Of the interpreter: ``3.11.2``."""

    files: tuple[tuple[str, str, bytes], ...]
    """Of each source that compiles: its path, that of its bytecode (PEP 3147), and the bytecode."""


def compile_sources(
    program: str, series: tuple[int, int], sources: Iterable[tuple[str, bytes]], run: Run
) -> Iterator[Compiled]:
    """Yield the bytecode of the sources of one wheel or package, each a path in the image and a text.

    ``program`` is the text of ``compile.py``, ``series`` the interpreter's major and minor version.  How
    sources are cut into batches follows from them alone, because it shows in the bytecode.

    :raises OutputError: the program did not say what it says.
    """
    for names, frames in _batches(sources):
        yield _decode(run(arguments(program, series), frames), names)


def compile_in_children(
    owner: str,
    sources: Iterable[tuple[str, bytes]],
    *,
    interpreter: str,
    series: tuple[int, int],
    program: str,
) -> Iterator[Compiled]:
    """Yield what :func:`compile_sources` does, from child processes of ``interpreter``.

    ``owner`` is the wheel or package that the sources are of, for a message.

    :raises CompileError: the program failed.
    """

    def run(words: tuple[str, ...], frames: bytes) -> bytes:
        child = subprocess.run(
            [interpreter, *words],
            input=frames,
            env=dict(ENVIRONMENT),
            cwd="/",
            capture_output=True,
            check=False,
        )
        if child.returncode:
            said = child.stderr.decode(errors="replace").strip()[-2000:]
            raise CompileError(f"compiling {owner} failed: {said}")
        return child.stdout

    return compile_sources(program, series, sources, run)


def arguments(program: str, version: tuple[int, int]) -> tuple[str, ...]:
    """Return what follows the interpreter on the command line; ``program`` is the text of ``compile.py``.

    Neither site nor the environment has a say, and no bytecode of the standard library is left behind.
    ``-I`` would leave the hash seed to chance, and before 3.11 it shows.
    """
    isolation = "-I" if version >= _ISOLATES_AND_STAYS_THE_SAME else "-s"
    return (isolation, "-B", "-S", "-W", "ignore", "-c", program)


def _batches(sources: Iterable[tuple[str, bytes]]) -> Iterator[tuple[list[str], bytes]]:
    """Yield the program's inputs, each with the paths in it."""
    names: list[str] = []
    frames = bytearray()
    for name, text in sources:
        path = name.encode(errors="surrogateescape")
        frames += struct.pack("<II", len(path), len(text)) + path + text
        names.append(name)
        if len(frames) >= BATCH_BYTES:
            yield names, bytes(frames)
            names, frames = [], bytearray()
    if names:
        yield names, bytes(frames)


def _decode(output: bytes, names: list[str]) -> Compiled:
    head, *lines = output.split(b"\n")
    if len(lines) != len(names) + 1 or lines.pop():
        raise OutputError(f"the compiling interpreter spoke of {len(lines)} sources, not of {len(names)}")
    try:
        cache_tag, _magic, version = head.decode("ascii").split(" ")
        bytecode = [base64.b64decode(line, validate=True) for line in lines]
    except ValueError as error:
        raise OutputError(f"the compiling interpreter said something else: {error}") from error
    return Compiled(
        version,
        tuple(
            (name, _bytecode_name(name, cache_tag), data)
            for name, data in zip(names, bytecode)  # noqa: B905 - strict is of 3.10
            if data
        ),
    )


def _bytecode_name(source: str, cache_tag: str) -> str:
    folder, name = posixpath.split(source)
    return posixpath.join(folder, "__pycache__", f"{name[: -len('.py')]}.{cache_tag}.pyc")
