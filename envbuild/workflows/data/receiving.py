"""Files that a server has, received beside where they are to be: in parallel, each verified."""

import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from envbuild.parallel import run_all
from envbuild.progress import ByteCounter
from envbuild.workflows.machine import Machine

if TYPE_CHECKING:
    from envbuild.data.partial import DataPartial, PartialFolder
    from envbuild.data.sources import DataSource, RemoteFile

WORKERS: Final = 8


@dataclass(slots=True, kw_only=True)
class _Arrivals:
    source: "DataSource"
    folder: "PartialFolder"
    counter: ByteCounter
    stop: threading.Event = field(default_factory=threading.Event)
    positions: dict[str, int] = field(default_factory=dict)

    def receive(self, file: "RemoteFile", partial: "DataPartial") -> None:
        def moved(position: int) -> None:
            self.counter.add(position - self.positions.get(file.path, 0))
            self.positions[file.path] = position

        self.source.receive(file, partial, moved)
        moved(partial.position)


def receive_known(
    files: Sequence["RemoteFile"], source: "DataSource", root: Path, machine: Machine, *, is_file: bool
) -> None:
    """Receive files whose sha256 is known and put each where it belongs below ``root``, or at it.

    :raises NetworkError: the server does not serve one; what came is kept.
    :raises IntegrityError: it serves something else.
    :raises NoRoomError: the disk has not enough room.
    """
    from envbuild.data.partial import placing_errors

    arrivals = _arrivals(files, source, root, machine)

    def bring(file: "RemoteFile") -> None:
        # two files of the same content arrive one after the other
        with arrivals.folder.receiving(str(file.sha256), stop=arrivals.stop) as partial:
            arrivals.receive(file, partial)
            partial.place(root if is_file else root / file.path)

    with placing_errors(root):
        run_all(
            bring, _largest_first(files), workers=WORKERS, stop=arrivals.stop, on_stop=arrivals.source.cancel
        )
        arrivals.folder.remove_if_empty()


def receive_unknown(
    files: Sequence["RemoteFile"], source: "DataSource", root: Path, machine: Machine
) -> dict[str, tuple[str, int]]:
    """Receive files whose sha256 nobody knows, and return it and the size of each by path.

    They stay beside ``root`` under their digests, where the next fetch finds them.
    """
    from envbuild.data.partial import placing_errors
    from envbuild.digest import sha256_bytes

    arrivals = _arrivals(files, source, root, machine)
    found: dict[str, tuple[str, int]] = {}

    def bring(file: "RemoteFile") -> None:
        name = f"unknown-{sha256_bytes(file.path.encode())}"
        with arrivals.folder.receiving(name, stop=arrivals.stop) as partial:
            partial.restart()
            arrivals.receive(file, partial)
            found[file.path] = partial.sha256, partial.position
            partial.path.replace(arrivals.folder.folder / partial.sha256)

    with placing_errors(root):
        run_all(
            bring, _largest_first(files), workers=WORKERS, stop=arrivals.stop, on_stop=arrivals.source.cancel
        )
    return found


def _arrivals(files: Sequence["RemoteFile"], source: "DataSource", root: Path, machine: Machine) -> _Arrivals:
    from envbuild.data.partial import PartialFolder, placing_errors

    folder = PartialFolder.beside(root)
    total = sum(file.size or 0 for file in files)
    with placing_errors(root):
        _require_room(files, folder, root)
    return _Arrivals(source=source, folder=folder, counter=ByteCounter(machine.progress, total))


def _require_room(files: Iterable["RemoteFile"], folder: "PartialFolder", root: Path) -> None:
    """Fail before the first byte rather than after the last that fits."""
    from envbuild.data.partial import NoRoomError
    from envbuild.files.sizes import readable_size

    folder.folder.parent.mkdir(parents=True, exist_ok=True)
    needed = sum(max(0, (file.size or 0) - folder.received(str(file.sha256))) for file in files)
    free = shutil.disk_usage(folder.folder.parent).free
    if needed > free:
        raise NoRoomError(
            f"no room for {root}: {readable_size(needed)} more are needed, {readable_size(free)} are free",
            hint="free some space, or name another path in the spec",
        )


def _largest_first(files: Iterable["RemoteFile"]) -> list["RemoteFile"]:
    return sorted(files, key=lambda file: (-(file.size or 0), file.path))
