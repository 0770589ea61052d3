"""Hashing of data: every file once, in parallel, and never half of a file that changes meanwhile."""

import contextlib
import gc
import hashlib
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from envbuild.data.manifest import DataManifest
from envbuild.data.memory import DigestMemory, NoMemory, WholeData
from envbuild.data.scan import FileIdentity, FoundFile, Row, found_files, scan_rows
from envbuild.errors import EnvbuildError, Problem
from envbuild.parallel import run_all
from envbuild.progress import SILENT, ByteCounter, Progress

BUFFER: Final = 1 << 18
"""Bytes read at a time, into one buffer for each thread: larger ones no longer fit the cache of a core."""

MOST_WORKERS: Final = 8
BATCH_FILES: Final = 256
BATCH_BYTES: Final = 8 << 20
"""Small files are handed to threads in batches."""

MOST_NAMED: Final = 20


class DataUnsteadyError(EnvbuildError):
    """Files changed or vanished while they were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedData:
    """The files of a data entry, each read whole, now or earlier."""

    digests: dict[str, str]
    """Hexadecimal sha256 by path."""

    digest: str
    """Of the manifest of these: ``sha256:...``."""

    size: int
    """Bytes of all files."""

    md5: dict[str, str] = field(default_factory=dict)
    """Hexadecimal md5 by path, where it was asked for: what DVC calls files."""

    read: int = 0
    """Bytes that were read; the rest was remembered."""

    @property
    def files(self) -> int:
        """Number of files."""
        return len(self.digests)


@dataclass(slots=True)
class _Hashing:
    counter: ByteCounter
    with_md5: bool
    now: Callable[[], int]
    digests: dict[str, str] = field(default_factory=dict)
    md5: dict[str, str] = field(default_factory=dict)
    unsteady: dict[str, str] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    buffers: threading.local = field(default_factory=threading.local)

    def buffer(self) -> memoryview:
        """Return the buffer of this thread, at the start of a page.

        Large blocks of malloc begin 16 bytes into one, and there some processors copy from the cache of the
        system at a quarter of the speed.
        """
        held: memoryview | None = getattr(self.buffers, "buffer", None)
        if held is None:
            held = self.buffers.buffer = memoryview(mmap.mmap(-1, BUFFER))
        return held


def hash_data(
    root: Path,
    *,
    memory: DigestMemory | None = None,
    with_md5: bool = False,
    progress: Progress = SILENT,
    now: Callable[[], int] = time.time_ns,
) -> HashedData:
    """Return the sha256 of every file of a data entry; what ``memory`` is sure of is not read.

    With ``with_md5`` every file is read, for no md5 is remembered.  ``now`` is in nanoseconds.

    :raises FileNotFoundError: there is nothing at ``root``.
    :raises DataUnusableError: see :func:`envbuild.data.scan.scan_rows`.
    :raises DataUnsteadyError: files changed or vanished while they were read; each is named.
    :raises OSError: a file cannot be read.
    """
    with _uncollected():
        rows = scan_rows(root)
    return _hash_rows(root, rows, memory=memory, with_md5=with_md5, progress=progress, now=now)


def look_at_data(
    root: Path,
    *,
    memory: DigestMemory | None = None,
    progress: Progress = SILENT,
    now: Callable[[], int] = time.time_ns,
) -> WholeData | HashedData:
    """Return the digest of a data entry; see :func:`hash_data`.

    Where it was remembered and nothing changed since, nothing is said of single files, and it is quick.
    """
    with _uncollected():
        rows = scan_rows(root)
        whole = memory.recall_whole(root, rows) if memory is not None else None
    return whole or _hash_rows(root, rows, memory=memory, with_md5=False, progress=progress, now=now)


def _hash_rows(
    root: Path,
    rows: list[Row],
    *,
    memory: DigestMemory | None,
    with_md5: bool,
    progress: Progress,
    now: Callable[[], int],
) -> HashedData:
    """Hash what was found, and remember the whole of it too."""
    began = now()
    with _uncollected():
        found = found_files(rows)
    hashed = hash_found(root, found, memory=memory, with_md5=with_md5, progress=progress, now=now)
    if memory is not None:
        whole = WholeData(digest=hashed.digest, size=hashed.size, files=hashed.files)
        memory.remember_whole(root, rows, whole, began=began)
    return hashed


def hash_found(
    root: Path,
    found: Sequence[FoundFile],
    *,
    memory: DigestMemory | None = None,
    with_md5: bool = False,
    progress: Progress = SILENT,
    now: Callable[[], int] = time.time_ns,
) -> HashedData:
    """Return the sha256 of files that :func:`envbuild.data.scan.scan_data` found; see :func:`hash_data`."""
    kept = memory or NoMemory()
    with _uncollected():
        known = {} if with_md5 else kept.recall(root, found)
    unknown = [file for file in found if file.path not in known]
    total = sum(file.identity.size for file in unknown)
    hashing = _Hashing(ByteCounter(progress, total), with_md5, now)
    began = now()
    try:
        run_all(
            lambda batch: _hash_batch(batch, hashing),
            _batches(unknown),
            workers=max(2, min(MOST_WORKERS, os.cpu_count() or 1)),
            stop=hashing.stop,
        )
    finally:
        # what was read before an interrupt is not read again
        digests = known | hashing.digests
        if hashing.digests:
            kept.remember(root, found, digests, began=began)
    _refuse_unsteady(root, hashing.unsteady)
    size = sum(file.identity.size for file in found)
    # their paths were checked when they were found
    digest = DataManifest(digests).digest
    return HashedData(digests=digests, digest=digest, size=size, md5=hashing.md5, read=total)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Have the garbage collector wait: it would look at a million tuples again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _batches(files: Iterable[FoundFile]) -> Iterator[list[FoundFile]]:
    """Yield large files alone, the largest first, then the small ones many at a time, in the order found."""
    small: list[FoundFile] = []
    large: list[FoundFile] = []
    for file in files:
        (large if file.identity.size >= BATCH_BYTES else small).append(file)
    for file in sorted(large, key=lambda file: -file.identity.size):
        yield [file]
    batch: list[FoundFile] = []
    size = 0
    for file in small:
        batch.append(file)
        size += file.identity.size
        if len(batch) == BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _hash_batch(batch: Sequence[FoundFile], hashing: _Hashing) -> None:
    uncounted = 0
    for file in batch:
        if hashing.stop.is_set():
            return
        _hash_file(file, hashing)
        if file.identity.size < BATCH_BYTES:
            uncounted += file.identity.size
    if uncounted:
        hashing.counter.add(uncounted)


def _hash_file(file: FoundFile, hashing: _Hashing) -> None:
    """Note the digests of a file, or that it is not what was found."""
    try:
        # without waiting for somebody to open the other end of a pipe that took its place
        descriptor = os.open(file.place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        hashing.unsteady[file.path] = "vanished"
        return
    states = [hashlib.sha256()]
    if hashing.with_md5:
        states.append(hashlib.md5(usedforsecurity=False))
    size = file.identity.size
    if size >= BATCH_BYTES:
        _read_ahead(descriptor)
    try:
        read = (_read_large if size >= BATCH_BYTES else _read_small)(descriptor, size, states, hashing)
        # of the file that was opened, whatever has its name now; and equal to what was found before that
        is_whole = read == size and FileIdentity.of(os.fstat(descriptor)) == file.identity
    except BlockingIOError:
        # a pipe
        is_whole = False
    finally:
        os.close(descriptor)
    if is_whole:
        hashing.digests[file.path] = states[0].hexdigest()
        if hashing.with_md5:
            hashing.md5[file.path] = states[1].hexdigest()
    elif not hashing.stop.is_set():
        hashing.unsteady[file.path] = "changed"


def _read_ahead(descriptor: int) -> None:
    """Have the system read twice as far ahead, where it takes such advice."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)


def _read_small(descriptor: int, size: int, states: "list[hashlib._Hash]", _hashing: _Hashing) -> int:
    """Feed ``states`` with a file of ``size`` bytes, and return how many it has; one more stands for all."""
    content = os.read(descriptor, size + 1)
    for state in states:
        state.update(content)
    return len(content)


def _read_large(descriptor: int, size: int, states: "list[hashlib._Hash]", hashing: _Hashing) -> int:
    """Do the same piece by piece, counted, until the work is to stop."""
    buffer = hashing.buffer()
    read = 0
    while read <= size and not hashing.stop.is_set() and (count := os.readv(descriptor, [buffer])):
        read += count
        for state in states:
            state.update(buffer[:count])
        hashing.counter.add(count)
    return read


def _refuse_unsteady(root: Path, unsteady: dict[str, str]) -> None:
    if not unsteady:
        return
    problems = [Problem(path, f"{what} while it was read") for path, what in sorted(unsteady.items())]
    if len(problems) > MOST_NAMED:
        problems = [*problems[:MOST_NAMED], Problem("", f"and {len(problems) - MOST_NAMED} more")]
    raise DataUnsteadyError(
        f"{root} changed while it was read",
        problems=problems,
        hint="wait until nobody writes there, then try again",
    )
