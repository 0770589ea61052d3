"""Bytecode of one wheel, compiled by the target's own interpreter, as the docker engine's build does it."""

import contextlib
import io
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from envbuild.digest import sha256_bytes
from envbuild.errors import BuildFailedError
from envbuild.image.engine import ContainerOutcome
from envbuild.render.bytecode import (
    ENVIRONMENT,
    arguments,
    bytecode_name,
    decode_bytecode,
    encode_sources,
)
from envbuild.render.recipe import recipe_scripts

RunPython = Callable[[Sequence[str], bytes], ContainerOutcome]
"""Runs the target's interpreter: what follows it on the command line, and its standard input.

Its environment is to be :data:`COMPILE_ENVIRONMENT` and nothing else.  Called from several threads.
"""

COMPILE_ENVIRONMENT = ENVIRONMENT

_LARGE = 16_000_000
_ONE_LARGE_AT_A_TIME = threading.Lock()
"""What a wheel of more than so many bytes of sources needs is several times that, torch's some 300 MB."""


@dataclass(frozen=True, slots=True)
class TargetPython:
    """The interpreter that compiles."""

    version: str
    """As locked: ``3.11.2``.  The magic number of bytecode follows from it."""

    run: RunPython

    @property
    def series(self) -> tuple[int, int]:
        """Major and minor version."""
        major, minor, *_ = self.version.split(".")
        return int(major), int(minor)


class Bytecode:
    """What was compiled of one wheel, kept on disk until it is written into a layer."""

    def __init__(self, python: TargetPython, sources: Iterable[tuple[str, bytes]], *, wheel: str) -> None:
        """Compile ``sources``, each a path in the image and a text, in their order.

        :raises BuildFailedError: the interpreter failed, or is not the one that was locked.
        """
        names, frames = [], io.BytesIO()
        for name, text in sources:
            names.append(name)
            frames.write(encode_sources(((name, text),)))
        with _ONE_LARGE_AT_A_TIME if frames.tell() > _LARGE else contextlib.nullcontext():
            self._compile(python, names, frames, wheel)

    def _compile(self, python: TargetPython, names: list[str], frames: io.BytesIO, wheel: str) -> None:
        outcome = python.run(arguments(program(), python.series), frames.getvalue())
        frames.close()
        if outcome.exit_status:
            raise BuildFailedError(
                f"compiling {wheel} failed", detail=outcome.stderr.decode(errors="replace").strip()[-2000:]
            )
        try:
            compiled = decode_bytecode(outcome.stdout, len(names))
        except ValueError as error:
            raise BuildFailedError(f"compiling {wheel} failed: {error}") from error
        if compiled.version != python.version:
            raise BuildFailedError(
                f"the image's Python is {compiled.version}, the lock says {python.version}",
                hint="run `envbuild lock` again",
            )
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the object
        self._places: dict[str, tuple[int, int]] = {}
        for name, data in zip(names, compiled.bytecode, strict=True):
            if data is not None:
                place = self._file.tell(), len(data)
                self._places[bytecode_name(name, compiled.cache_tag)] = place
                self._file.write(data)

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each compiled file, by path in the image."""
        return {name: size for name, (_, size) in self._places.items()}

    def read(self, name: str) -> bytes:
        """Return a compiled file."""
        position, size = self._places[name]
        self._file.seek(position)
        return self._file.read(size)

    def close(self) -> None:
        """Forget it all."""
        self._file.close()


@cache
def program() -> str:
    """Return the text of the program that compiles."""
    return recipe_scripts()["compile.py"].decode()


@cache
def program_digest() -> str:
    """Return the digest of that text, a part of what bytecode follows from."""
    return sha256_bytes(program().encode())
