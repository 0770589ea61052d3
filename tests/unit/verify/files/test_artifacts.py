import hashlib
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.verify.checks import LockedTarget
from envbuild.verify.checks.target import LockedDeb, LockedWheel
from envbuild.verify.files.artifacts import TreeCache, expected_files, missing_trees


class FakeStore:
    """Hands out files by digest and notes what was asked for."""

    def __init__(self, *paths: Path) -> None:
        self.paths = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}
        self.asked: list[str] = []

    def __call__(self, sha256: str) -> Path:
        self.asked.append(self.paths[sha256].name)
        return self.paths[sha256]


@pytest.fixture
def store(
    make_wheel: Callable[..., Path],
    make_deb: Callable[..., Path],
    tar_entry: Callable[..., tarfile.TarInfo],
) -> FakeStore:
    return FakeStore(make_wheel(), make_deb([(tar_entry("./usr/bin/demo", mode=0o755), b"program")]))


@pytest.fixture
def small(target: LockedTarget, store: FakeStore) -> LockedTarget:
    deb, wheel = sorted(store.paths.items(), key=lambda item: item[1].suffix)
    return replace(
        target,
        wheels=(LockedWheel(name="demo", version="1.0", file=wheel[1].name, sha256=wheel[0]),),
        debs=(LockedDeb(name="demo", version="1.0", architecture="amd64", file=deb[1].name, sha256=deb[0]),),
    )


def test_trees_are_computed_once(small: LockedTarget, store: FakeStore, tmp_path: Path) -> None:
    cache = TreeCache(tmp_path / "trees")
    files = ("demo-1.0-py3-none-any.whl", "demo_1.0_amd64.deb")
    assert missing_trees(small, cache) == files
    first = expected_files(small, artifact=store, cache=cache)
    assert sorted(store.asked) == sorted(files)
    assert "lib/python3.11/site-packages/demo/__init__.py" in first.wheels[files[0]]
    assert list(first.debs[files[1]]) == ["/usr/bin/demo"]
    assert missing_trees(small, cache) == ()
    assert expected_files(small, artifact=store, cache=cache) == first
    assert len(store.asked) == 2


def test_another_python_is_another_tree(small: LockedTarget, store: FakeStore, tmp_path: Path) -> None:
    cache = TreeCache(tmp_path / "trees")
    expected_files(small, artifact=store, cache=cache)
    other = replace(small, interpreter=replace(small.interpreter, version="3.12.1"))
    assert missing_trees(other, cache) == ("demo-1.0-py3-none-any.whl",)
    assert missing_trees(replace(small, prefix="/opt/other"), cache) == ("demo-1.0-py3-none-any.whl",)


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b broken", b"{}"])
def test_a_damaged_tree_is_computed_again(
    small: LockedTarget, store: FakeStore, tmp_path: Path, damage: bytes
) -> None:
    cache = TreeCache(tmp_path / "trees")
    first = expected_files(small, artifact=store, cache=cache)
    for path in (tmp_path / "trees").rglob("*.gz"):
        path.write_bytes(damage)
    assert expected_files(small, artifact=store, cache=cache) == first
    assert len(store.asked) == 4


def test_kept_trees_do_not_change_with_time(small: LockedTarget, store: FakeStore, tmp_path: Path) -> None:
    expected_files(small, artifact=store, cache=TreeCache(tmp_path / "one"))
    expected_files(small, artifact=store, cache=TreeCache(tmp_path / "two"))
    kept = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.gz")}
        for folder in (tmp_path / "one", tmp_path / "two")
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 2
