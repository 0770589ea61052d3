import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from envbuild.errors import IntegrityError
from envbuild.store.artifact import Artifact
from envbuild.store.stage import DamagedError, stage, staged, workspace
from envbuild.store.store import Store
from tests.rig.artifacts import artifact_of, content_of, damage

FIRST, SECOND = content_of(1), content_of(2)
ONE = artifact_of(FIRST, filename="one-1.0-py3-none-any.whl")
TWO = artifact_of(SECOND, filename="two_1%3a1.0_amd64.deb")
FILES = {"wheels/00/one-1.0-py3-none-any.whl": ONE, "debs/two.deb": TWO}


@pytest.fixture
def filled(store: Store) -> Store:
    store.add_bytes(FIRST)
    store.add_bytes(SECOND)
    return store


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_artifacts_lie_under_their_names(filled: Store, umask: int) -> None:
    before = os.umask(umask)
    try:
        with workspace(filled) as folder:
            stage(FILES, store=filled, folder=folder)

            assert (folder / "wheels/00/one-1.0-py3-none-any.whl").read_bytes() == FIRST
            assert (folder / "debs/two.deb").read_bytes() == SECOND
            assert (folder / "debs/two.deb").samefile(filled.place_of(TWO.sha256))
            assert (folder / "debs/two.deb").stat().st_mtime == 315_532_800
            assert stat.S_IMODE(folder.stat().st_mode) == 0o755
            assert modes(folder) == {
                "debs": 0o755,
                "debs/two.deb": 0o644,
                "wheels": 0o755,
                "wheels/00": 0o755,
                "wheels/00/one-1.0-py3-none-any.whl": 0o644,
            }
    finally:
        os.umask(before)
    assert not folder.exists()
    assert list(filled.contexts_folder.iterdir()) == []
    assert filled.damaged([ONE.sha256, TWO.sha256]) == ()


def test_staging_twice_replaces(filled: Store, tmp_path: Path) -> None:
    stage(FILES, store=filled, folder=tmp_path)
    stage(FILES, store=filled, folder=tmp_path)

    assert (tmp_path / "debs/two.deb").read_bytes() == SECOND


def test_where_links_are_not_possible_copies_are_made(filled: Store) -> None:
    elsewhere = Path("/dev/shm")  # noqa: S108 - another file system is the point
    if elsewhere.stat().st_dev == filled.folder.stat().st_dev:
        pytest.fail("the test needs two file systems")
    folder = elsewhere / f"envbuild-test-{os.getpid()}"
    folder.mkdir()
    try:
        stage(FILES, store=filled, folder=folder)

        assert (folder / "debs/two.deb").read_bytes() == SECOND
        assert (folder / "debs/two.deb").stat().st_nlink == 1
        assert (folder / "debs/two.deb").stat().st_mtime == 315_532_800
        assert modes(folder)["debs/two.deb"] == 0o644
        damage(filled, TWO.sha256)
        with pytest.raises(DamagedError):
            stage(FILES, store=filled, folder=folder)
        assert not (folder / "debs/two.deb").exists()
    finally:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        folder.rmdir()


def test_a_mode_changed_by_hand_is_not_passed_on(filled: Store, tmp_path: Path) -> None:
    filled.place_of(ONE.sha256).chmod(0o600)

    stage(FILES, store=filled, folder=tmp_path)

    assert modes(tmp_path)["wheels/00/one-1.0-py3-none-any.whl"] == 0o644


def test_damaged_and_missing_artifacts_are_named_and_removed(filled: Store, tmp_path: Path) -> None:
    damage(filled, ONE.sha256)
    filled.discard(TWO.sha256)

    with pytest.raises(DamagedError) as caught:
        stage(FILES, store=filled, folder=tmp_path)

    assert isinstance(caught.value, IntegrityError)
    assert caught.value.message == "stored files were damaged"
    assert [str(problem) for problem in caught.value.problems] == [
        "one-1.0-py3-none-any.whl: does not have the locked sha256; removed",
        "two_1%3a1.0_amd64.deb: does not have the locked sha256; removed",
    ]
    assert filled.digests() == ()
    assert [
        path for path in tmp_path.rglob("*") if path.is_file() and filled.folder not in path.parents
    ] == []


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/../../b", "", "a//b", "./a"])
def test_names_stay_in_the_folder(filled: Store, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a path below the folder"):
        stage({name: ONE}, store=filled, folder=tmp_path)


def test_a_workspace_goes_whatever_happens(store: Store) -> None:
    def work() -> None:
        with workspace(store) as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / "file").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()

    assert list(store.contexts_folder.iterdir()) == []


class FakeFetch:
    """Puts content into a store as a fetch would."""

    def __init__(self, store: Store, *, is_broken: bool = False) -> None:
        self.store = store
        self.is_broken = is_broken
        self.asked: list[list[str]] = []

    def __call__(self, artifacts: Sequence[Artifact]) -> None:
        self.asked.append(sorted(artifact.filename for artifact in artifacts))
        for content, artifact in ((FIRST, ONE), (SECOND, TWO)):
            if artifact in artifacts and not self.store.holds(artifact.sha256, artifact.size):
                self.store.add_bytes(content)
                if self.is_broken:
                    damage(self.store, artifact.sha256)


def test_damage_is_mended_by_fetching_once_more(filled: Store) -> None:
    damage(filled, ONE.sha256)
    fetch = FakeFetch(filled)

    with staged(FILES, store=filled, fetch=fetch) as folder:
        assert (folder / "wheels/00/one-1.0-py3-none-any.whl").read_bytes() == FIRST

    assert fetch.asked == [[ONE.filename, TWO.filename], [ONE.filename]]
    assert filled.verify(ONE.sha256)


def test_damage_that_stays_is_an_error(store: Store) -> None:
    fetch = FakeFetch(store, is_broken=True)

    with pytest.raises(DamagedError), staged(FILES, store=store, fetch=fetch):
        pytest.fail("damaged artifacts were handed out")

    assert len(fetch.asked) == 2
    assert list(store.contexts_folder.iterdir()) == []
