import os
import time
from pathlib import Path

import pytest

from envbuild.cache.prune import Pruned, Usage, prune, usage
from envbuild.errors import EnvbuildError
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
def filled(store: Store) -> Store:
    """The first was used longest ago."""
    for content, days in zip(CONTENTS, (30, 20, 10), strict=True):
        used_days_ago(store, store.add_bytes(content), days)
    return store


def left(store: Store) -> list[int]:
    return [number for number, digest in enumerate(DIGESTS) if store.path_of(digest)]


@pytest.mark.parametrize(
    ("days", "size", "keep", "expected"),
    [
        pytest.param(None, None, [], [], id="everything"),
        pytest.param(None, None, [1], [1], id="all but"),
        pytest.param(15, None, [], [2], id="old"),
        pytest.param(15, None, [0], [0, 2], id="old but kept"),
        pytest.param(100, None, [], [0, 1, 2], id="none is so old"),
        pytest.param(None, 700, [], [0, 1, 2], id="fits"),
        pytest.param(None, 699, [], [1, 2], id="least recently used first"),
        pytest.param(None, 500, [], [2], id="until it fits"),
        pytest.param(None, 500, [0], [0, 2], id="kept count but stay"),
        pytest.param(None, 0, [0, 1, 2], [0, 1, 2], id="kept whatever the size"),
        pytest.param(25, 500, [], [2], id="either reason"),
    ],
)
def test_pruning_chooses(
    filled: Store, days: float | None, size: int | None, keep: list[int], expected: list[int]
) -> None:
    kept = {DIGESTS[number] for number in keep}

    pruned = prune(filled, keep=kept, older_than_days=days, max_bytes=size)

    assert left(filled) == expected
    gone = [number for number in range(3) if number not in expected]
    assert pruned == Pruned(files=len(gone), size=sum(SIZES[number] for number in gone))


def test_use_makes_an_artifact_young(filled: Store) -> None:
    with filled.open_verified(DIGESTS[0]):
        pass

    prune(filled, older_than_days=15)

    assert left(filled) == [0, 2]


def test_staging_is_use(filled: Store, tmp_path: Path) -> None:
    stage({"one": artifact_of(CONTENTS[0])}, store=filled, folder=tmp_path)

    prune(filled, older_than_days=15)

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
        assert prune(store, older_than_days=15) == Pruned(files=1, size=5)
        assert sorted(path.name for path in store.partials_folder.iterdir()) == sorted([young, live])
        assert prune(store, max_bytes=0) == Pruned(files=0, size=0)
        assert prune(store) == Pruned(files=1, size=5)
        assert [path.name for path in store.partials_folder.iterdir()] == [live]


def test_nothing_is_pruned_under_a_users_feet(filled: Store) -> None:
    with workspace(filled), filled.use(), pytest.raises(EnvbuildError, match="another envbuild is using"):
        prune(filled, wait_seconds=0)

    assert left(filled) == [0, 1, 2]


def test_what_is_staged_outlives_a_pruning(filled: Store, tmp_path: Path) -> None:
    stage({"one": artifact_of(CONTENTS[0])}, store=filled, folder=tmp_path)

    prune(filled)

    assert (tmp_path / "one").read_bytes() == CONTENTS[0]


def test_usage_counts_every_folder_and_every_file_once(filled: Store) -> None:
    (filled.folder / "metadata" / "deep").mkdir(parents=True)
    (filled.folder / "metadata" / "deep" / "page").write_bytes(b"12345")
    (filled.folder / "metadata" / "link").symlink_to("deep")
    (filled.folder / "novel").mkdir()
    (filled.folder / "novel" / "thing").write_bytes(b"1")
    with workspace(filled) as folder:
        stage({"one": artifact_of(CONTENTS[0])}, store=filled, folder=folder)
        found = usage(filled)

    assert found == (
        Usage(kind="package lists", folder="apt", files=0, size=0),
        # the lock beside the folder; the staged file is the artifact
        Usage(kind="layers of image bases", folder="bases", files=0, size=0),
        Usage(kind="staged artifacts", folder="contexts", files=1, size=0),
        Usage(kind="images of the local engine", folder="images", files=0, size=0),
        Usage(kind="image layers", folder="layers", files=0, size=0),
        Usage(kind="index pages and metadata", folder="metadata", files=2, size=5 + len("deep")),
        Usage(kind="novel", folder="novel", files=1, size=1),
        Usage(kind="partial downloads", folder="partial", files=0, size=0),
        Usage(kind="artifacts", folder="sha256", files=3, size=700),
        Usage(kind="unpacked bases", folder="trees", files=0, size=0),
    )


def test_usage_of_nothing(store: Store) -> None:
    assert {(one.files, one.size) for one in usage(store)} == {(0, 0)}
    assert not store.folder.exists()


def test_pruning_nothing(store: Store) -> None:
    assert prune(store) == Pruned(files=0, size=0)
