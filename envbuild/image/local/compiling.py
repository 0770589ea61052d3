"""Bytecode of one wheel, compiled by the target's own interpreter, as the docker engine's build does it."""

import contextlib
import io
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from envbuild.digest import sha256_bytes
from envbuild.errors import BuildFailedError
from envbuild.image.engine import ContainerOutcome
from envbuild.image.local.writer import LayerWriter
from envbuild.render.bytecode import (
    ENVIRONMENT,
    arguments,
    bytecode_name,
    decode_bytecode,
    encode_sources,
)
from envbuild.render.recipe import recipe_scripts
from envbuild.resolve.layer_tar import unpacked

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

    def __init__(self) -> None:
        """Hold nothing yet: see :meth:`compile` and :meth:`unpack`."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the object
        self._places: dict[str, tuple[int, int]] = {}

    @classmethod
    def compile(cls, python: TargetPython, sources: Iterable[tuple[str, bytes]], *, wheel: str) -> "Bytecode":
        """Compile ``sources``, each a path in the image and a text, in their order.

        :raises BuildFailedError: the interpreter failed, or is not the one that was locked.
        """
        names, frames = [], io.BytesIO()
        for name, text in sources:
            names.append(name)
            frames.write(encode_sources(((name, text),)))
        with _ONE_LARGE_AT_A_TIME if frames.tell() > _LARGE else contextlib.nullcontext():
            outcome = python.run(arguments(program(), python.series), frames.getvalue())
            frames.close()
            return cls._read(outcome, python, names, wheel)

    @classmethod
    def _read(
        cls, outcome: ContainerOutcome, python: TargetPython, names: list[str], wheel: str
    ) -> "Bytecode":
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
        bytecode = cls()
        for name, data in zip(names, compiled.bytecode, strict=True):
            if data is not None:
                place = bytecode._file.tell(), len(data)
                bytecode._places[bytecode_name(name, compiled.cache_tag)] = place
                bytecode._file.write(data)
        return bytecode

    @classmethod
    def unpack(cls, layer: Iterator[bytes]) -> "Bytecode":
        """Take what :meth:`pack` has written out of a layer's compressed bytes, all of which are read."""
        # all of it first: only after the last chunk is it known to be what was written
        packed = b"".join(layer)
        bytecode = cls()
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
def program_digest() -> str:
    """Return the digest of that text, a part of what bytecode follows from."""
    return sha256_bytes(program().encode())
