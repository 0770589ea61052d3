"""Bytecode of one wheel, compiled by the target's own interpreter, as the docker engine's build does it."""

import contextlib
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from envbuild.digest import sha256_bytes
from envbuild.errors import BuildFailedError
from envbuild.files.disk import disk_errors
from envbuild.formats.bytecode import BATCH_BYTES, ENVIRONMENT, Compiled, OutputError, compile_sources
from envbuild.formats.compression import unpacked
from envbuild.image.engine import ContainerOutcome
from envbuild.image.local.layers.writer import LayerWriter
from envbuild.render.recipe import recipe_scripts

RunPython = Callable[[Sequence[str], bytes], ContainerOutcome]
"""Runs the target's interpreter: what follows it on the command line, and its standard input.

Its environment is to be :data:`COMPILE_ENVIRONMENT` and nothing else.  Called from several threads.
"""

COMPILE_ENVIRONMENT = ENVIRONMENT


@dataclass(frozen=True, slots=True)
class CompilingPython:
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

    def __init__(self, folder: Path) -> None:
        """Hold nothing: see :meth:`compile` and :meth:`unpack`.  ``folder`` is for a file without a name."""
        self._folder = folder
        with disk_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the object
        self._places: dict[str, tuple[int, int]] = {}

    @classmethod
    def compile(
        cls, python: CompilingPython, sources: Iterable[tuple[str, bytes]], *, wheel: str, folder: Path
    ) -> "Bytecode":
        """Compile ``sources``, each a path in the image and a text, in their order.

        :raises BuildFailedError: the interpreter failed, or is not the one that was locked.
        """

        def run(words: Sequence[str], frames: bytes) -> bytes:
            outcome = python.run(words, frames)
            if outcome.exit_status:
                said = outcome.stderr.decode(errors="replace").strip()[-2000:]
                raise BuildFailedError(f"compiling {wheel} failed", detail=said)
            return outcome.stdout

        bytecode = cls(folder)
        with contextlib.ExitStack() as unfinished:
            unfinished.callback(bytecode.close)
            try:
                for batch in compile_sources(program(), python.series, sources, run):
                    bytecode._add(batch, python)
            except OutputError as error:
                raise BuildFailedError(f"compiling {wheel} failed: {error}") from error
            unfinished.pop_all()
        return bytecode

    def _add(self, batch: Compiled, python: CompilingPython) -> None:
        if batch.version != python.version:
            raise BuildFailedError(
                f"the image's Python is {batch.version}, the lock says {python.version}",
                hint="run `envbuild lock` again",
            )
        with disk_errors(self._folder):
            for _source, path, data in batch.files:
                self._places[path] = self._file.tell(), len(data)
                self._file.write(data)

    @classmethod
    def unpack(cls, layer: Iterator[bytes], *, folder: Path) -> "Bytecode":
        """Take what :meth:`pack` has written out of a layer's compressed bytes, all of which are read."""
        # all of it first: only after the last chunk is it known to be what was written
        packed = b"".join(layer)
        bytecode = cls(folder)
        with disk_errors(folder):
            for block in unpacked(iter((packed,))):
                bytecode._file.write(block)
        bytecode._file.seek(0)
        with tarfile.open(fileobj=bytecode._file, mode="r:") as archive:
            for member in archive:
                bytecode._places[f"/{member.name}"] = member.offset_data, member.size
        return bytecode

    def pack(self, writer: LayerWriter) -> None:
        """Write it all into a layer of its own, for :meth:`unpack`."""
        for name in sorted(self._places, key=_in_archive):
            writer.add_file(_in_archive(name), self._places[name][1], (self.read(name),))

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


def _in_archive(name: str) -> bytes:
    return name.lstrip("/").encode(errors="surrogateescape")


@cache
def program() -> str:
    """Return the text of the program that compiles."""
    return recipe_scripts()["compile.py"].decode()


@cache
def compiling_inputs() -> tuple[str | int, ...]:
    """Return what bytecode follows from beside sources and interpreter: mode, program, size of a batch."""
    return "unchecked-hash", sha256_bytes(program().encode()), BATCH_BYTES
