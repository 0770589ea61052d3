"""Wheels as a layer: what installing them gives, written without ever unpacking them to a disk.

The same files as the docker engine's build installs, by the same plan (:mod:`envbuild.formats.wheel_files`).
The layer follows from the wheels in it, the prefix, the interpreter and the codec; from nothing else that
an environment holds.
"""

import contextlib
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import installer
from zlib_ng.zlib_ng import error as zlib_ng_error

from envbuild.errors import IntegrityError
from envbuild.formats.compression import Codec
from envbuild.formats.wheel_archive import WheelArchive
from envbuild.formats.wheel_files import (
    BROKEN,
    EXECUTABLE,
    PLAIN,
    InstalledFile,
    WheelMember,
    checked,
    is_source,
    plan_wheel,
)
from envbuild.formats.zip_member import read_member
from envbuild.image.local.layers.bytecode import Bytecode, CompilingPython, compiling_inputs
from envbuild.image.local.layers.file_conflicts import Tree, WheelTreeCache, resolve_file_conflicts
from envbuild.image.local.layers.store import LayerKey, LayerStore
from envbuild.image.local.layers.writer import LayerWriter
from envbuild.lock.model import Wheel
from envbuild.oci.layer import Layer
from envbuild.parallel import StoppedError
from envbuild.render.layers import WheelLayer

WHEELS_FORMAT = 1
"""Goes up whenever the same wheels come out as other entries; golden digests hold it."""

OpenWheel = Callable[[Wheel], BinaryIO]
"""Opens a wheel whose bytes are those that were locked: :meth:`envbuild.store.store.Store.open_verified`."""

_UNREADABLE: tuple[type[BaseException], ...] = (*BROKEN, cast("type[Exception]", zlib_ng_error), OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelLayerBuilder:
    """Makes layers of wheels: holds all that they follow from but the wheels, and their cache."""

    cache: LayerStore
    trees: WheelTreeCache
    open_wheel: OpenWheel
    codec: Codec
    prefix: str
    """Absolute path in the image."""

    python: str
    """Version of the interpreter: ``3.11.2``."""

    compiler: CompilingPython | None
    """Compiles the bytecode; None leaves it out."""

    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the work is cancelled."""

    @property
    def series(self) -> str:
        """Version as folders spell it: ``3.11``."""
        return ".".join(self.python.split(".")[:2])

    def key(self, layer: WheelLayer) -> LayerKey:
        """Return what the layer follows from."""
        return LayerKey(
            kind="wheels",
            inputs={
                "format": WHEELS_FORMAT,
                "installer": installer.__version__,
                "wheels": [[wheel.file, wheel.sha256] for wheel in layer.wheels],
                "prefix": self.prefix,
                # the magic number follows from the version, and is compared when something is compiled
                "python": self.python if self.compiler else self.series,
                "bytecode": compiling_inputs() if self.compiler else None,
            },
            codec=self.codec,
            comment=layer.comment,
        )

    def make(self, layer: WheelLayer, *, on_bytes: Callable[[int], None] = lambda _: None) -> Layer:
        """Return the layer, made if it is not in the cache; ``on_bytes`` is told of packed bytes done.

        :raises IntegrityError: a wheel is broken, contradicts its RECORD, or disagrees with another one.
        :raises BuildFailedError: the target's interpreter fails.
        """
        return self.cache.make(
            self.key(layer), lambda writer: self._write(layer, writer, on_bytes), stop=self.stop
        )

    def make_executable(self, files: Mapping[str, Wheel]) -> Layer:
        """Return a layer of ``files``, each out of a wheel that has it so, by path below the prefix."""
        key = LayerKey(
            kind="executable",
            inputs={
                "format": WHEELS_FORMAT,
                "files": [[name, wheel.file, wheel.sha256] for name, wheel in sorted(files.items())],
                "prefix": self.prefix,
                "python": self.series,
            },
            codec=self.codec,
            comment="executable files of several wheels",
        )
        return self.cache.make(key, lambda writer: self._write_executable(files, writer), stop=self.stop)

    def tree(self, wheel: Wheel) -> Tree:
        """Return which files a wheel brings.

        :raises IntegrityError: it is no wheel that can be installed.
        """
        found = self.trees.get(wheel, prefix=self.prefix, python=self.series)
        if found is None:
            with self._open(wheel) as opened:
                found = opened.tree
        return found

    def _write(self, layer: WheelLayer, writer: LayerWriter, on_bytes: Callable[[int], None]) -> None:
        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(self._open(wheel)) for wheel in layer.wheels]
            modes = resolve_file_conflicts(
                [[(each.wheel.file, each.tree) for each in opened]], prefix=self.prefix
            ).modes
            entries: dict[bytes, _Entry] = {}
            for each in opened:
                for file in each.plan.values():
                    planned = _Planned(each, file, modes.get(file.name, file.mode))
                    if entries.setdefault(self._path(file.name), planned) is not planned:
                        planned.verify()
                entries |= self._compile(each, stack, keep=len(opened) > 1)
            self._write_entries(entries, writer, on_bytes)

    def _write_executable(self, files: Mapping[str, Wheel], writer: LayerWriter) -> None:
        with contextlib.ExitStack() as stack:
            wheels = {wheel.file: wheel for wheel in files.values()}
            opened = {file: stack.enter_context(self._open(wheel)) for file, wheel in sorted(wheels.items())}
            entries: dict[bytes, _Entry] = {}
            for name, wheel in files.items():
                each = opened[wheel.file]
                entries[self._path(name)] = _Planned(each, each.plan[name], EXECUTABLE)
            self._write_entries(entries, writer, lambda _: None)

    def _write_entries(
        self, entries: "dict[bytes, _Entry]", writer: LayerWriter, on_bytes: Callable[[int], None]
    ) -> None:
        for path in sorted({*entries, *self._folders(entries)}):
            if self.stop.is_set():
                raise StoppedError
            entry = entries.get(path)
            if entry is None:
                writer.add_directory(path)
                continue
            with entry.describing():
                writer.add_file(path, entry.size, entry.chunks(), mode=entry.mode)
            on_bytes(entry.packed)

    def _folders(self, entries: "dict[bytes, _Entry]") -> set[bytes]:
        """Return the folders from the prefix on.  What is above it is the base's."""
        top = self._path("")
        found = {top}
        for path in entries:
            folder = path.rpartition(b"/")[0]
            while folder not in found:
                found.add(folder)
                folder = folder.rpartition(b"/")[0]
        return found

    def _path(self, name: str) -> bytes:
        return f"{self.prefix}/{name}".strip("/").encode(errors="surrogateescape")

    @contextlib.contextmanager
    def _open(self, wheel: Wheel) -> "Iterator[_Opened]":
        with self.open_wheel(wheel) as file:
            with _describing(wheel):
                archive = WheelArchive(file)
                plan = plan_wheel(archive, wheel.file, python=self.series, prefix=self.prefix)
            opened = _Opened(wheel, file, archive, plan)
            self.trees.put(wheel, opened.tree, prefix=self.prefix, python=self.series)
            yield opened

    def _compile(
        self, opened: "_Opened", stack: contextlib.ExitStack, *, keep: bool
    ) -> "dict[bytes, _Entry]":
        """Return the bytecode of a wheel.

        ``keep``: the layer is one of several wheels, which comes out anew when one of them changes.  Then
        the bytecode of each is kept by itself.
        """
        sources = [file for file in opened.plan.values() if is_source(file.name, self.series)]
        if self.compiler is None or not sources:
            return {}
        compiler = self.compiler

        folder = self.cache.folder

        def texts() -> Iterator[tuple[str, bytes]]:
            for file in sources:
                with _describing(opened.wheel):
                    text = b"".join(opened.read(file))
                yield f"{self.prefix}/{file.name}", text

        def compiled() -> Bytecode:
            return Bytecode.compile(compiler, texts(), wheel=opened.wheel.file, folder=folder)

        def produce(writer: LayerWriter) -> None:
            with contextlib.closing(compiled()) as fresh:
                fresh.pack(writer)

        if keep:
            kept = self.cache.make(self._bytecode_key(opened.wheel), produce, stop=self.stop)
            bytecode = Bytecode.unpack(self.cache.chunks(kept), folder=folder)
        else:
            bytecode = compiled()
        stack.callback(bytecode.close)
        return {
            name.strip("/").encode(errors="surrogateescape"): _CompiledSource(bytecode, name, size)
            for name, size in bytecode.sizes.items()
        }

    def _bytecode_key(self, wheel: Wheel) -> LayerKey:
        return LayerKey(
            kind="bytecode",
            inputs={
                "format": WHEELS_FORMAT,
                "wheel": [wheel.file, wheel.sha256],
                "prefix": self.prefix,
                "python": self.python,
                "bytecode": compiling_inputs(),
            },
            codec=self.codec,
            comment=f"bytecode of {wheel.name} {wheel.version}",
        )


@dataclass(frozen=True, slots=True)
class _Opened:
    """A wheel open for reading, and what installing it gives."""

    wheel: Wheel
    file: BinaryIO
    archive: zipfile.ZipFile
    plan: dict[str, InstalledFile]

    @property
    def tree(self) -> Tree:
        return {name: (file.sha256, file.executable) for name, file in self.plan.items()}

    def read(self, file: InstalledFile) -> Iterator[bytes]:
        """Yield the content of a file, compared with the plan."""
        if isinstance(file.source, WheelMember):
            yield from checked(file, read_member(self.file, self.archive, file.source.info))
        else:
            yield file.source


@dataclass(frozen=True, slots=True)
class _Planned:
    """A file of a wheel."""

    opened: _Opened
    file: InstalledFile
    mode: int

    @property
    def size(self) -> int:
        return self.file.size

    @property
    def packed(self) -> int:
        return self.file.source.info.compress_size if isinstance(self.file.source, WheelMember) else 0

    def chunks(self) -> Iterator[bytes]:
        return self.opened.read(self.file)

    def describing(self) -> contextlib.AbstractContextManager[None]:
        return _describing(self.opened.wheel)

    def verify(self) -> None:
        """Read it all, to compare it with the plan."""
        with self.describing():
            for _ in self.chunks():
                pass


@dataclass(frozen=True, slots=True)
class _CompiledSource:
    """Bytecode of a source."""

    bytecode: Bytecode
    name: str
    size: int
    mode: int = PLAIN
    packed: int = 0

    def chunks(self) -> Sequence[bytes]:
        return (self.bytecode.read(self.name),)

    def describing(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


_Entry = _Planned | _CompiledSource


@contextlib.contextmanager
def _describing(wheel: Wheel) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise IntegrityError(f"{wheel.file} is not a wheel that can be installed: {error}") from error
