"""apt in a container of an engine, where this machine cannot run it, such as on macOS.

The container has no network and sees nothing of this machine.  Lists that were fetched and checked here are
copied into it, to the same paths; it answers one question after the other, until the end of the run.
An image base decides with its own apt, which may lie: what it says of packages is compared with the lists.
"""

import os
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from envbuild.errors import EngineError, EnvbuildError, NetworkError
from envbuild.platforms import Platform
from envbuild.process import ProcessResult
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.programs import AptWay, OpenLists, RunningApt, WayName
from envbuild.resolve.apt.root import AptRoot
from envbuild.resolve.apt.unpacked import HOLDER, AptTree, AptTrees, UnpackedApt

_PLACE: Final = "envbuild-apt"
"""Folder of the tree in its image."""

_HOLD_SECONDS: Final = "21600"
"""After this a container ends by itself, if nobody was left to remove it."""

_INTERPRETERS: Final = {
    "amd64": PurePosixPath("/lib64/ld-linux-x86-64.so.2"),
    "arm64": PurePosixPath("/lib/ld-linux-aarch64.so.1"),
}
"""Where programs of each architecture look for their loader."""

_CHUNK: Final = 1 << 20


class AptContainer(Protocol):
    """A container that runs until it is removed."""

    def put(self, archive: Iterator[bytes]) -> None:
        """Unpack a tar at the root.  :raises EngineError: the engine does not take it."""

    def execute(
        self, command: Sequence[str], *, environment: Mapping[str, str], timeout: float
    ) -> ProcessResult:
        """Run a command as root.  :raises EngineError: it cannot be run, or does not end in time."""


class AptContainers(Protocol):
    """An engine, as far as apt needs one."""

    def platform(self) -> Platform:
        """Return what its containers are.  :raises EngineError: it does not answer, or is of another kind."""

    def describe(self) -> str:
        """Return the engine in words.  :raises EngineError: it does not answer."""

    def provide_base(self, reference: str) -> None:
        """Make the engine hold an image, by pulling it.  :raises EnvbuildError: it cannot be had."""

    def provide_import(self, name: str, make: Callable[[], Iterator[bytes]]) -> None:
        """Make the engine hold the image ``name``, whose root file system is a tar.

        :raises EngineError: it does not take it.
        """

    def close(self) -> None:
        """Close the connection to the engine, if there is one."""

    def hold(self, image: str, command: Sequence[str]) -> AbstractContextManager[AptContainer]:
        """Start a container without network whose ``command`` waits, and remove it afterwards.

        :raises EngineError: it does not start.
        """


@dataclass(slots=True)
class _Held:
    """A container, and what was copied into it: size and time of change of each file, by its path."""

    container: AptContainer
    tree: AptTree | None
    sent: dict[Path, tuple[int, int]] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)


class EngineApt:
    """Runs apt in containers of an engine: the base itself, or an image made of the distribution's apt."""

    name: WayName = "engine"

    def __init__(self, containers: AptContainers, trees: AptTrees) -> None:
        self._containers = containers
        self._trees = trees
        self._stack = ExitStack()
        self._held: dict[str, _Held] = {}
        self._guard = threading.Lock()

    def prepare(self, archives: AptArchives) -> None:
        """Make sure that the engine can run apt for ``archives``.

        :raises EngineError, ToolMissingError: it cannot.
        """
        platform = self._containers.platform()
        if not self._is_base(archives, platform):
            self._trees.tools_of(archives, platform)

    @contextmanager
    def open(self, archives: AptArchives, root: AptRoot, open_lists: OpenLists) -> Iterator[RunningApt]:
        """Yield what runs apt's programs in a container."""
        held = self._container_for(archives, root, open_lists)
        environment = root.environment()
        if held.tree:
            # apt's methods are started without the words that name loader and libraries
            environment |= {"LD_LIBRARY_PATH": f"/{_PLACE}"}

        def run(arguments: Sequence[str | Path], *, timeout: float) -> ProcessResult:
            with held.guard:
                _send(held, root)
            program, *rest = map(str, arguments)
            words = held.tree.command(program, folder=f"/{_PLACE}") if held.tree else (program,)
            return held.container.execute((*words, *rest), environment=environment, timeout=timeout)

        # an image made of signed packages is as good as these
        yield RunningApt(run, is_trusted=held.tree is not None)

    def describe(self) -> str:
        """Return the way in words.  :raises EngineError: the engine does not answer."""
        self._containers.platform()
        return f"not installed; run in a container of Docker Engine {self._containers.describe()}"

    def close(self) -> None:
        """Remove the containers."""
        with self._guard:
            self._held.clear()
            self._stack.close()
        self._containers.close()

    def _container_for(self, archives: AptArchives, root: AptRoot, open_lists: OpenLists) -> _Held:
        platform = self._containers.platform()
        if self._is_base(archives, platform) and archives.image:
            try:
                self._containers.provide_base(archives.image)
                return self._hold(archives.image, None)
            except (EngineError, NetworkError) as error:
                refused = error
                try:
                    self._trees.tools_of(archives, platform)
                except EnvbuildError:
                    # there is no other apt for it
                    raise refused from None
        with self._trees.open(archives, root, platform, open_lists) as tree:
            name = f"{_PLACE}:{tree.identity}"
            self._containers.provide_import(name, lambda: _root_of(tree))
            return self._hold(name, tree)

    def _hold(self, image: str, tree: AptTree | None) -> _Held:
        command: tuple[str, ...] = (HOLDER, _HOLD_SECONDS)
        if tree is not None:
            command = (*tree.holder(folder=f"/{_PLACE}"), _HOLD_SECONDS)
        with self._guard:
            if image not in self._held:
                container = self._stack.enter_context(self._containers.hold(image, command))
                self._held[image] = _Held(container, tree)
            return self._held[image]

    @staticmethod
    def _is_base(archives: AptArchives, platform: Platform) -> bool:
        return archives.image is not None and archives.image_platform == platform.name


def apt_ways(trees: AptTrees, containers: AptContainers | None) -> tuple[AptWay, ...]:
    """Return the ways to run apt where it is not installed, the cheapest first."""
    unpacked = UnpackedApt(trees)
    return (unpacked,) if containers is None else (unpacked, EngineApt(containers, trees))


def _send(held: _Held, root: AptRoot) -> None:
    """Copy what apt reads into a container, unless it is there already."""
    files = [
        path
        for folder in (root.folder, root.lists)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name != "lock"
    ]
    fresh = {path: (state.st_size, state.st_mtime_ns) for path in files for state in [path.stat()]}
    wanted = [path for path in files if held.sent.get(path) != fresh[path]]
    if wanted:
        folders = {root.folder / "none", root.source_cache.parent, root.lists}
        held.container.put(_tar(wanted, sorted(folders)))
        held.sent |= {path: fresh[path] for path in wanted}


def _tar(files: Sequence[Path], folders: Sequence[Path]) -> Iterator[bytes]:
    """Yield a tar of files and empty folders at their own paths, owned by root."""
    for folder in folders:
        yield _header(str(folder), tarfile.DIRTYPE, 0o755)
    for path in files:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            yield _header(str(path), tarfile.REGTYPE, 0o644, size=size, changed=int(path.stat().st_mtime))
            while chunk := stream.read(_CHUNK):
                yield chunk
        yield b"\0" * (-size % tarfile.BLOCKSIZE)
    yield b"\0" * 2 * tarfile.BLOCKSIZE


def _root_of(tree: AptTree) -> Iterator[bytes]:
    """Yield the root file system that holds a tree and nothing else; the same bytes for the same tree."""
    yield _header("/tmp", tarfile.DIRTYPE, 0o1777)  # noqa: S108 - of the container
    for folder in (f"/{_PLACE}", *_INTERPRETERS[tree.platform.debian].parents[-2::-1]):
        yield _header(str(folder), tarfile.DIRTYPE, 0o755)
    interpreter = str(_INTERPRETERS[tree.platform.debian])
    yield _header(interpreter, tarfile.SYMTYPE, 0o777, link=f"/{_PLACE}/{tree.loader}")
    for path in sorted(tree.folder.iterdir()):
        name = f"/{_PLACE}/{path.name}"
        if path.is_symlink():
            yield _header(name, tarfile.SYMTYPE, 0o777, link=str(path.readlink()))
        elif path.is_file():
            content = path.read_bytes()
            yield _header(name, tarfile.REGTYPE, 0o755, size=len(content))
            yield content + b"\0" * (-len(content) % tarfile.BLOCKSIZE)
    yield b"\0" * 2 * tarfile.BLOCKSIZE


def _header(path: str, kind: bytes, mode: int, *, size: int = 0, changed: int = 0, link: str = "") -> bytes:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode, entry.size, entry.mtime, entry.linkname = kind, mode, size, changed, link
    return entry.tobuf(tarfile.PAX_FORMAT)
