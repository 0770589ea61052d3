"""The digest of a whole entry, remembered while nothing in it changed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from envbuild.cache.notes import write_note
from envbuild.data.hashing import HashedData, hash_data, look_at_data
from envbuild.data.manifest import manifest_of
from envbuild.data.memory import RACY_NANOSECONDS, CachedDigests, WholeData
from envbuild.data.scan import Row, scan_rows

WHOLE = WholeData(digest="sha256:" + "a" * 64, size=3, files=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "one").write_text("1")
    (tmp_path / "data" / "deep" / "two").write_text("22")
    return tmp_path / "data"


@pytest.fixture
def memory(tmp_path: Path) -> CachedDigests:
    return CachedDigests(tmp_path / "cache", is_safe=lambda _: True)


def later(rows: list[Row]) -> int:
    return max(time for row in rows for time in row[2][3:]) + RACY_NANOSECONDS + 1


def the_note(tmp_path: Path) -> Path:
    (note,) = (tmp_path / "cache").rglob("*-whole.json")
    return note


def test_the_whole_is_remembered_while_every_file_is_as_it_was(folder: Path, memory: CachedDigests) -> None:
    rows = scan_rows(folder)
    memory.remember_whole(folder, rows, WHOLE, began=later(rows))

    assert memory.recall_whole(folder, scan_rows(folder)) == WHOLE
    assert memory.recall_whole(folder / "deep", rows) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "one").write_text("2"),
        lambda folder: (folder / "one").rename(folder / "other"),
        lambda folder: (folder / "one").unlink(),
        lambda folder: (folder / "three").write_text(""),
        lambda folder: (folder / "link").symlink_to("one"),
        lambda folder: os.utime(folder / "deep" / "two", ns=(0, 0)),
    ],
)
def test_any_change_forgets_the_whole(
    folder: Path, memory: CachedDigests, change: Callable[[Path], object]
) -> None:
    rows = scan_rows(folder)
    memory.remember_whole(folder, rows, WHOLE, began=later(rows))
    change(folder)

    assert memory.recall_whole(folder, scan_rows(folder)) is None


@pytest.mark.parametrize("field", range(5))
def test_any_field_of_an_identity_counts(folder: Path, memory: CachedDigests, field: int) -> None:
    rows = scan_rows(folder)
    memory.remember_whole(folder, rows, WHOLE, began=later(rows))
    path, place, state = rows[0]
    other = list(state)
    other[field] += 1
    first, second, third, fourth, fifth = other

    changed = [(path, place, (first, second, third, fourth, fifth)), *rows[1:]]

    assert memory.recall_whole(folder, changed) is None


def test_one_file_touched_just_before_keeps_the_whole_from_being_remembered(
    folder: Path, tmp_path: Path, memory: CachedDigests
) -> None:
    rows = scan_rows(folder)

    memory.remember_whole(folder, rows, WHOLE, began=later(rows) - 1)

    assert not (tmp_path / "cache").exists()


def test_nothing_is_remembered_of_the_whole_where_one_device_cannot_be_trusted(
    folder: Path, tmp_path: Path, memory: CachedDigests
) -> None:
    rows = scan_rows(folder)
    path, place, (device, inode, size, modified, changed) = rows[1]
    mixed = [rows[0], (path, place, (device + 1, inode, size, modified, changed))]
    unsafe = CachedDigests(tmp_path / "cache", is_safe=lambda found: found == device)

    unsafe.remember_whole(folder, mixed, WHOLE, began=later(rows))
    assert not (tmp_path / "cache").exists()

    memory.remember_whole(folder, mixed, WHOLE, began=later(rows))
    assert unsafe.recall_whole(folder, mixed) is None
    assert memory.recall_whole(folder, mixed) == WHOLE


@pytest.mark.parametrize("field", ["digest", "files", "size", "state"])
@pytest.mark.parametrize("value", [None, [], True, 1.5])
def test_a_note_of_the_whole_that_is_none_is_discarded(
    folder: Path, tmp_path: Path, memory: CachedDigests, field: str, value: object
) -> None:
    rows = scan_rows(folder)
    memory.remember_whole(folder, rows, WHOLE, began=later(rows))
    note = {"digest": WHOLE.digest, "files": 2, "size": 3, "state": "s", field: value}
    write_note(the_note(tmp_path), note)

    assert memory.recall_whole(folder, rows) is None


def test_a_note_of_the_whole_that_others_could_have_written_is_discarded(
    folder: Path, tmp_path: Path, memory: CachedDigests
) -> None:
    rows = scan_rows(folder)
    memory.remember_whole(folder, rows, WHOLE, began=later(rows))

    the_note(tmp_path).chmod(0o666)

    assert memory.recall_whole(folder, rows) is None


def test_a_second_look_says_the_same_and_reads_nothing(folder: Path, memory: CachedDigests) -> None:
    now = later(scan_rows(folder))
    first = look_at_data(folder, memory=memory, now=lambda: now)
    assert isinstance(first, HashedData)
    assert first.digest == manifest_of(first.digests).digest

    second = look_at_data(folder, memory=memory, now=lambda: now)

    assert second == WholeData(digest=first.digest, size=3, files=2, read=0)


def test_a_look_after_hashing_reads_nothing(folder: Path, memory: CachedDigests) -> None:
    now = later(scan_rows(folder))
    hashed = hash_data(folder, memory=memory, now=lambda: now)

    assert look_at_data(folder, memory=memory).digest == hashed.digest
    (folder / "one").write_text("2")
    changed = look_at_data(folder, memory=memory)
    assert isinstance(changed, HashedData)
    assert changed.read == 1


def test_a_look_without_memory_reads_everything(folder: Path) -> None:
    assert look_at_data(folder).read == 3
