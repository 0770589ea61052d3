import errno
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.cache.folders import LAYOUT, CacheFolder
from envbuild.cache.prune import PrunableEntries, PrunableFiles, PrunableItem, Pruned, Usage, prune, usage
from envbuild.cache.use_lock import prepare
from envbuild.errors import EnvbuildError
from envbuild.files.locks import try_lock
from envbuild.store.stage import stage, workspace
from envbuild.store.store import Store
from tests.rig.artifacts import artifact_of, content_of, sha256_of

DAY = 86_400
SIZES = (100, 200, 400)
CONTENTS = [content_of(seed, size) for seed, size in enumerate(SIZES)]
DIGESTS = [sha256_of(content) for content in CONTENTS]


def used_days_ago(store: Store, sha256: str, days: float) -> None:
    path = store.place_of(sha256)
    os.utime(path, (time.time() - days * DAY, path.stat().st_mtime))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


@pytest.fixture
def filled(store: Store) -> Store:
    """The first was used longest ago."""
    for content, days in zip(CONTENTS, (30, 20, 10), strict=True):
        used_days_ago(store, store.add_bytes(content), days)
    return store


def left(store: Store) -> list[int]:
    return [number for number, digest in enumerate(DIGESTS) if store.path_of(digest)]


@pytest.mark.parametrize(
    ("days", "size", "expected"),
    [
        pytest.param(None, None, [], id="everything"),
        pytest.param(15, None, [2], id="old"),
        pytest.param(0, None, [], id="any age"),
        pytest.param(100, None, [0, 1, 2], id="none is so old"),
        pytest.param(None, 700, [0, 1, 2], id="fits"),
        pytest.param(None, 699, [1, 2], id="least recently used first"),
        pytest.param(None, 500, [2], id="until it fits"),
        pytest.param(None, 0, [], id="nothing fits"),
        pytest.param(25, 500, [2], id="either reason"),
    ],
)
def test_pruning_chooses(filled: Store, days: float | None, size: int | None, expected: list[int]) -> None:
    pruned = prune(filled.folder, [filled], older_than_days=days, max_bytes=size)

    assert left(filled) == expected
    gone = [number for number in range(3) if number not in expected]
    assert pruned == Pruned(files=len(gone), size=sum(SIZES[number] for number in gone))


def test_use_makes_an_artifact_young(filled: Store) -> None:
    with filled.open_verified(DIGESTS[0]):
        pass

    prune(filled.folder, [filled], older_than_days=15)

    assert left(filled) == [0, 2]


def test_staging_is_use(filled: Store, tmp_path: Path) -> None:
    stage({"one": artifact_of(CONTENTS[0])}, store=filled, folder=tmp_path)

    prune(filled.folder, [filled], older_than_days=15)

    assert left(filled) == [0, 2]


def test_partials_go_by_age_unless_someone_works_on_them(store: Store) -> None:
    store.prepare()
    old, young, live = DIGESTS
    for digest in DIGESTS:
        (store.partials_folder / digest).write_bytes(b"12345")
    (store.partials_folder / "add-left").write_bytes(b"123")
    for digest in (old, live):
        os.utime(store.partials_folder / digest, (0, 0))
    with store.partial(live):
        assert prune(store.folder, [store], older_than_days=15) == Pruned(files=1, size=5)
        assert sorted(path.name for path in store.partials_folder.iterdir()) == sorted([young, live])
        assert prune(store.folder, [store], max_bytes=0) == Pruned(files=1, size=5)
        assert [path.name for path in store.partials_folder.iterdir()] == [live]


def test_nothing_is_pruned_under_a_users_feet(filled: Store) -> None:
    with workspace(filled), filled.use(), pytest.raises(EnvbuildError, match="another envbuild is using"):
        prune(filled.folder, [filled], wait_seconds=0)

    assert left(filled) == [0, 1, 2]


def test_what_is_staged_outlives_a_pruning(filled: Store, tmp_path: Path) -> None:
    stage({"one": artifact_of(CONTENTS[0])}, store=filled, folder=tmp_path)

    prune(filled.folder, [filled])

    assert (tmp_path / "one").read_bytes() == CONTENTS[0]


def test_usage_counts_every_file_once_by_what_it_is(filled: Store) -> None:
    for name in (
        "metadata/deep/page",
        "novel/thing",
        "unpacked-0123/file",
        "unpacked/file",
        ".hashing-1/wheel",
    ):
        (filled.folder / name).parent.mkdir(parents=True)
        (filled.folder / name).write_bytes(b"12345")
    (filled.folder / "metadata" / "link").symlink_to("deep")
    with workspace(filled) as folder:
        stage({"one": artifact_of(CONTENTS[0])}, store=filled, folder=folder)
        found = usage(filled.folder)

    assert [one.folder for one in found] == sorted({"novel", *(folder.name for folder in LAYOUT)})
    assert {one for one in found if one.files} == {
        # the lock beside the folder, and what an earlier release left; the staged file is the artifact
        Usage(kind="staged artifacts", folder="contexts", files=2, size=5),
        Usage(kind="wheel metadata", folder="metadata", files=2, size=5 + len("deep")),
        Usage(kind="novel", folder="novel", files=1, size=5),
        Usage(kind="artifacts", folder="sha256", files=3, size=700),
        Usage(kind="unpacked layers", folder="unpacked", files=2, size=10),
    }


def test_usage_of_nothing(store: Store) -> None:
    assert {(one.files, one.size) for one in usage(store.folder)} == {(0, 0)}
    assert not store.folder.exists()


def test_pruning_nothing(store: Store) -> None:
    assert prune(store.folder, [store]) == Pruned(files=0, size=0)


class Item:
    """Something to prune whose removal ends as asked."""

    def __init__(self, used: float, size: int = 1, refuses: int | None = None) -> None:
        self.used, self.size, self.refuses = used, size, refuses
        self.is_there, self.is_swept = True, False

    def items(self) -> Iterator[PrunableItem]:
        yield PrunableItem(name="item", size=self.size, used=self.used, remove=self.remove)

    def sweep(self) -> None:
        self.is_swept = True
        self._refuse()

    def remove(self) -> bool:
        self._refuse()
        self.is_there = False
        return True

    def _refuse(self) -> None:
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP])
def test_what_cannot_be_removed_is_passed_over(cache: Path, number: int) -> None:
    parts = [Item(1, refuses=number), Item(2)]

    assert prune(cache, parts) == Pruned(files=1, size=1)
    assert not parts[1].is_there
    assert [part.is_swept for part in parts] == [True, True]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_a_broken_disk_ends_it(cache: Path, number: int) -> None:
    with pytest.raises(EnvbuildError, match=re.escape(str(cache))):
        prune(cache, [Item(1, refuses=number)])


def test_a_clock_that_was_ahead_keeps_nothing(cache: Path) -> None:
    parts = [Item(time.time() + 30 * DAY), Item(time.time() - DAY)]

    assert prune(cache, parts, older_than_days=0.5) == Pruned(files=1, size=1)
    assert parts[0].is_there
    assert prune(cache, parts, older_than_days=0) == Pruned(files=2, size=2)


def test_what_takes_no_room_goes_too_when_nothing_may_be_left(cache: Path) -> None:
    parts = [Item(1, size=5), Item(2, size=0)]

    assert prune(cache, parts, max_bytes=0) == Pruned(files=2, size=5)


APT = CacheFolder(name="apt", label="", pruned="entries", written=re.compile("apt/[a-z-]+"))


def test_a_whole_folder_goes_unless_it_is_locked(cache: Path) -> None:
    for name in ("free/lists/a", "free/lock", "held/lists/a", "held/lock", "without/a", "file", "0/foreign"):
        (cache / "apt" / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / "apt" / name).write_bytes(b"12345")
    descriptor = try_lock(cache / "apt/held/lock")
    assert descriptor is not None

    pruned = prune(cache, [PrunableEntries(cache, APT)])
    os.close(descriptor)

    assert pruned == Pruned(files=3, size=20)
    assert sorted(path.name for path in (cache / "apt").iterdir()) == ["0", "held"]


def test_a_whole_folder_was_used_when_one_of_its_files_was(cache: Path) -> None:
    for name in ("old/a", "old/b", "young/a", "young/b"):
        (cache / "apt" / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / "apt" / name).touch()
        os.utime(cache / "apt" / name, (1, 1) if name != "young/b" else None)

    prune(cache, [PrunableEntries(cache, APT)], older_than_days=1)

    assert [path.name for path in (cache / "apt").iterdir()] == ["young"]


@pytest.mark.parametrize(("days", "left"), [(2, []), (0.5, ["file", "last-use"])])
def test_a_noted_use_counts_for_all_entries(cache: Path, days: float, left: list[str]) -> None:
    (cache / "apt").mkdir()
    for name, used in (("file", 1), ("last-use", time.time() - days * DAY)):
        (cache / "apt" / name).touch()
        os.utime(cache / "apt" / name, (1, used))

    prune(cache, [PrunableEntries(cache, APT)], older_than_days=1)

    assert sorted(path.name for path in (cache / "apt").iterdir()) == left


def test_folders_of_former_places_go_when_they_are_empty(cache: Path) -> None:
    for name, used in (("one/deep/old", 1), ("two/deep/old", 1), ("two/deep/young", None), ("two/mine", 1)):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).touch()
        os.utime(cache / name, (used, used) if used else None)
    (cache / "three").symlink_to("one")
    folder = CacheFolder(
        name="now",
        label="",
        pruned="files",
        written=re.compile("[a-z]+/deep/(old|young)"),
        former=("one", "two", "t*"),
    )

    pruned = prune(cache, [PrunableFiles(cache, folder)], older_than_days=1)

    assert pruned.files == 2
    assert sorted(path.name for path in (cache / "two").rglob("*")) == ["deep", "mine", "young"]
    assert not (cache / "one").exists()
    assert (cache / "three").is_symlink()


def test_a_file_of_two_names_in_the_table_counts_once(cache: Path) -> None:
    (cache / "now/ab").mkdir(parents=True)
    (cache / "now/ab/file").write_bytes(b"12345")
    folder = CacheFolder(
        name="now", label="", pruned="files", written=re.compile("now/ab/file"), former=("now/ab",)
    )

    assert prune(cache, [PrunableFiles(cache, folder)]) == Pruned(files=1, size=5)
