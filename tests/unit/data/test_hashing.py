import ctypes
import hashlib
import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from envbuild.data import hashing
from envbuild.data.hashing import DataUnsteadyError, hash_data, hash_found
from envbuild.data.memory import CachedDigests
from envbuild.data.scan import scan_data
from envbuild.progress import SILENT, ByteCounter
from tests.rig.progress import RecordedProgress

LATER = 10_000_000_000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for number in range(600):
        (tmp_path / "data" / "deep" / f"{number}").write_bytes(bytes([number % 256]) * number)
    (tmp_path / "data" / "large").write_bytes(bytes(range(256)) * (hashing.BATCH_BYTES // 256) + b"rest")
    (tmp_path / "data" / "empty").write_bytes(b"")
    return tmp_path / "data"


def after(folder: Path) -> Callable[[], int]:
    """Return a clock that shows ten seconds after the last change in `folder`."""
    latest = max(path.stat().st_ctime_ns for path in (folder, *folder.rglob("*")))
    return lambda: latest + LATER


def test_every_file_has_its_digest(folder: Path) -> None:
    hashed = hash_data(folder, with_md5=True)

    assert len(hashed.digests) == len(hashed.md5) == 602
    for path, digest in hashed.digests.items():
        data = (folder / path).read_bytes()
        assert digest == sha256(data)
        assert hashed.md5[path] == hashlib.md5(data, usedforsecurity=False).hexdigest()
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert hashed.read == hashed.size == total


def test_an_entry_of_one_file_has_one_digest(folder: Path) -> None:
    hashed = hash_data(folder / "deep" / "7")

    assert hashed.digests == {"7": sha256(b"\7" * 7)}


def test_progress_ends_at_the_whole(folder: Path) -> None:
    progress = RecordedProgress()

    hashed = hash_data(folder, progress=progress)

    assert progress.bytes[0] == (0, hashed.size)
    assert progress.bytes[-1] == (hashed.size, hashed.size)


def test_what_is_remembered_is_not_read(folder: Path, tmp_path: Path) -> None:
    memory, now = CachedDigests(tmp_path / "cache", is_safe=lambda _: True), after(folder)
    first = hash_data(folder, memory=memory, now=now)
    (folder / "deep" / "5").write_bytes(b"other")

    second = hash_data(folder, memory=memory, now=now)

    assert second.read == 5
    assert {**first.digests, "deep/5": sha256(b"other")} == second.digests


def test_what_changed_behind_the_scan_is_named(folder: Path) -> None:
    found = scan_data(folder)
    (folder / "deep" / "3").write_bytes(b"longer than it was")
    (folder / "deep" / "4").unlink()
    (folder / "large").unlink()
    os.mkfifo(folder / "large")

    with pytest.raises(DataUnsteadyError) as caught:
        hash_found(folder, found)

    assert [str(problem) for problem in caught.value.problems] == [
        "deep/3: changed while it was read",
        "deep/4: vanished while it was read",
        "large: changed while it was read",
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"short"),
        lambda path: os.truncate(path, hashing.BATCH_BYTES + 16),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
        lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]),
    ],
)
def test_a_file_that_changes_while_it_is_read_has_no_digest(
    folder: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    # as far away in time as the clock of a file system can tell
    os.utime(folder / "large", ns=(0, 0))
    found = [file for file in scan_data(folder) if file.path == "large"]

    class Changing(RecordedProgress):
        def on_bytes(self, done: int, total: int) -> None:
            if not self.bytes:
                change(folder / "large")
            super().on_bytes(done, total)

    memory = CachedDigests(tmp_path / "cache", is_safe=lambda _: True)
    with pytest.raises(DataUnsteadyError):
        hash_found(folder, found, progress=Changing(), memory=memory, now=after(folder))

    assert memory.recall(folder, scan_data(folder)) == {}


def test_a_link_that_takes_the_place_of_a_file_is_not_followed(folder: Path) -> None:
    found = [file for file in scan_data(folder) if file.path == "deep/9"]
    (folder / "deep" / "9").rename(folder / "deep" / "moved")
    (folder / "deep" / "9").symlink_to("moved")

    with pytest.raises(OSError, match="symbolic links"):
        hash_found(folder, found)


def test_what_was_read_before_an_interrupt_is_remembered(folder: Path, tmp_path: Path) -> None:
    memory, now = CachedDigests(tmp_path / "cache", is_safe=lambda _: True), after(folder)
    found = scan_data(folder)
    large = threading.Event()

    class Interrupting(RecordedProgress):
        def on_bytes(self, done: int, total: int) -> None:
            if done and not large.is_set():
                large.set()
            if done == total:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hash_found(folder, found, memory=memory, progress=Interrupting(), now=now)

    assert len(memory.recall(folder, found)) > 256


def test_buffers_begin_at_a_page() -> None:
    buffer = hashing._Hashing(ByteCounter(SILENT, 1), with_md5=False, now=time.time_ns).buffer()

    assert len(buffer) == hashing.BUFFER
    assert ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % mmap.PAGESIZE == 0
