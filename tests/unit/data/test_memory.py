import json
import os
from pathlib import Path

import pytest

from envbuild.cache.folders import DATA_DIGESTS
from envbuild.cache.notes import write_note
from envbuild.data.file_systems import keeps_times
from envbuild.data.memory import RACY_NANOSECONDS, CachedDigests, NoMemory, WholeData
from envbuild.data.scan import FoundFile, found_files, scan_data, scan_rows

A = "a" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one").write_text("1")
    return tmp_path / "data"


@pytest.fixture
def memory(tmp_path: Path) -> CachedDigests:
    return CachedDigests(tmp_path / "cache", is_safe=lambda _: True)


@pytest.fixture
def found(folder: Path) -> FoundFile:
    (file,) = scan_data(folder)
    return file


def long_after(found: FoundFile) -> int:
    return max(found.identity.modified, found.identity.changed) + RACY_NANOSECONDS + 1


def the_note(tmp_path: Path) -> Path:
    (note,) = (tmp_path / "cache").rglob("*.json")
    return note


def test_a_digest_is_remembered_while_the_file_is_as_it_was(
    folder: Path, memory: CachedDigests, found: FoundFile
) -> None:
    memory.remember(folder, [found], {"one": A}, began=long_after(found))

    assert memory.recall(folder, [found]) == {"one": A}


@pytest.mark.parametrize("field", ["device", "inode", "size", "modified", "changed"])
def test_any_difference_forgets(folder: Path, memory: CachedDigests, found: FoundFile, field: str) -> None:
    memory.remember(folder, [found], {"one": A}, began=long_after(found))
    other = found.identity._replace(**{field: getattr(found.identity, field) + 1})

    assert memory.recall(folder, [found._replace(identity=other)]) == {}
    assert memory.recall(folder, [found._replace(path="two")]) == {}


def test_all_that_is_remembered_can_be_pruned(folder: Path, tmp_path: Path, memory: CachedDigests) -> None:
    rows = scan_rows(folder)
    found = found_files(rows)
    memory.remember(folder, found, {"one": A}, began=long_after(found[0]))
    memory.remember_whole(
        folder, rows, WholeData(digest=f"sha256:{A}", size=1, files=1), began=long_after(found[0])
    )

    notes = sorted(path.relative_to(tmp_path / "cache") for path in (tmp_path / "cache").rglob("*.json"))
    assert len(notes) == 2
    assert all(DATA_DIGESTS.is_written(note.as_posix()) for note in notes)


def test_a_file_touched_just_before_it_was_read_is_not_remembered(
    folder: Path, memory: CachedDigests, found: FoundFile
) -> None:
    memory.remember(folder, [found], {"one": A}, began=long_after(found) - 1)
    assert memory.recall(folder, [found]) == {}

    # set back by its owner: the change time tells
    os.utime(folder / "one", ns=(0, 0))
    (touched,) = scan_data(folder)
    assert touched.identity.modified == 0
    memory.remember(folder, [touched], {"one": A}, began=touched.identity.changed)
    assert memory.recall(folder, [touched]) == {}


def test_nothing_is_remembered_where_file_systems_cannot_be_trusted(
    folder: Path, tmp_path: Path, memory: CachedDigests, found: FoundFile
) -> None:
    unsafe = CachedDigests(tmp_path / "cache", is_safe=lambda _: False)

    unsafe.remember(folder, [found], {"one": A}, began=long_after(found))
    assert not (tmp_path / "cache").exists()

    memory.remember(folder, [found], {"one": A}, began=long_after(found))
    assert unsafe.recall(folder, [found]) == {}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"one": []},
        {"one": [A, 1, 2, 3, 4, 5]},
        {"one": A},
        {"one": f"{A} 1 2 3 4"},
        {"one": f"{A} 1 2 3 4 -5"},
        {"one": f"{'/' * 64} 1 2 3 4 5"},
    ],
)  # fmt: skip
def test_a_note_that_is_none_is_discarded(
    folder: Path, tmp_path: Path, memory: CachedDigests, found: FoundFile, document: object
) -> None:
    memory.remember(folder, [found], {"one": A}, began=long_after(found))
    write_note(the_note(tmp_path), document)

    assert memory.recall(folder, [found]) == {}


def test_a_damaged_note_is_discarded_and_written_again(
    folder: Path, tmp_path: Path, memory: CachedDigests, found: FoundFile
) -> None:
    memory.remember(folder, [found], {"one": A}, began=long_after(found))
    note = the_note(tmp_path)
    note.write_bytes(note.read_bytes().replace(A.encode(), b"b" * 64))

    assert memory.recall(folder, [found]) == {}
    memory.remember(folder, [found], {"one": A}, began=long_after(found))
    assert memory.recall(folder, [found]) == {"one": A}


def test_a_note_that_others_could_have_written_is_discarded(
    folder: Path, tmp_path: Path, memory: CachedDigests, found: FoundFile
) -> None:
    memory.remember(folder, [found], {"one": A}, began=long_after(found))
    note = the_note(tmp_path)

    note.chmod(0o666)
    assert memory.recall(folder, [found]) == {}
    note.chmod(0o644)
    os.chown(note, 12345, -1)
    assert memory.recall(folder, [found]) == {}
    os.chown(note, os.geteuid(), -1)
    note.rename(tmp_path / "elsewhere")
    note.symlink_to(tmp_path / "elsewhere")
    assert memory.recall(folder, [found]) == {}


def test_a_cache_that_cannot_be_written_is_no_error(folder: Path, tmp_path: Path, found: FoundFile) -> None:
    (tmp_path / "file").write_text("")
    memory = CachedDigests(tmp_path / "file", is_safe=lambda _: True)

    memory.remember(folder, [found], {"one": A}, began=long_after(found))

    assert memory.recall(folder, [found]) == {}


def test_no_memory_remembers_nothing(folder: Path, found: FoundFile) -> None:
    NoMemory().remember(folder, [found], {"one": A}, began=long_after(found))

    assert NoMemory().recall(folder, [found]) == {}


MOUNTS = """\
21 26 0:20 / /sys rw,nosuid - sysfs sysfs rw
26 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 26 0:51 / /mnt/n\\040as rw,relatime shared:9 master:2 - nfs4 server:/export rw,vers=4.2
41 26 0:52 / /mnt/fuse rw - fuse.sshfs host:/ rw
42 26 0:53 / /run rw - tmpfs tmpfs rw
43 26 0:54 / /var/lib rw - overlay overlay rw,lowerdir=/a - b
44 26 0:55 / /boot rw - vfat /dev/sda2 rw
broken
"""


@pytest.mark.parametrize(
    ("device", "safe"),
    [
        *(((8, 1), True), ((0, 53), True), ((0, 54), True)),
        *(((0, 51), False), ((0, 52), False), ((0, 55), False), ((7, 7), False)),
    ],
)
def test_file_systems_that_keep_times_are_trusted(
    tmp_path: Path, device: tuple[int, int], safe: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)

    assert keeps_times(mounts)(os.makedev(*device)) is safe


def test_without_a_list_of_mounts_no_file_system_is_trusted(tmp_path: Path) -> None:
    assert not keeps_times(tmp_path / "none")(os.makedev(8, 1))


def test_the_note_is_json_that_tells_no_path_of_this_machine(
    folder: Path, tmp_path: Path, memory: CachedDigests, found: FoundFile
) -> None:
    memory.remember(folder, [found], {"one": A}, began=long_after(found))

    text = the_note(tmp_path).read_text()
    assert str(tmp_path) not in text
    assert list(json.loads(text.split("\n", 1)[1])) == ["one"]
