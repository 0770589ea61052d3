import os
import threading
import time
from pathlib import Path

import pytest

from envbuild.files import locks
from envbuild.files.locks import create_locked, exclusive, locked, shared, try_lock, wait_for_lock
from envbuild.parallel import StoppedError


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    path, descriptor = create_locked(tmp_path, prefix="x-", suffix=".lock")

    assert path.name.startswith("x-")
    assert path.name.endswith(".lock")
    assert try_lock(path) is None
    os.close(descriptor)
    again = try_lock(path)
    assert again is not None
    os.close(again)


def test_a_lock_on_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        try_lock(tmp_path / "missing")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to("target")

    with pytest.raises(OSError, match="symbolic links"):
        try_lock(tmp_path / "link", create=True)


def test_who_waits_gets_the_file_that_is_there_then(tmp_path: Path) -> None:
    path, descriptor = create_locked(tmp_path, prefix="x-")
    got: list[int] = []
    waiter = threading.Thread(target=lambda: got.append(wait_for_lock(path)))
    waiter.start()
    time.sleep(0.1)
    path.rename(tmp_path / "finished")
    os.close(descriptor)
    waiter.join(10)

    assert os.fstat(got[0]).st_ino == path.stat().st_ino
    assert os.fstat(got[0]).st_ino != (tmp_path / "finished").stat().st_ino
    os.close(got[0])


def test_a_file_that_is_replaced_between_open_and_lock_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    real = locks._lock_now
    replaced: list[bool] = []

    def lock_late(descriptor: int) -> bool:
        if not replaced:
            replaced.append(True)
            path.unlink()
            path.write_text("new")
        return real(descriptor)

    monkeypatch.setattr(locks, "_lock_now", lock_late)
    descriptor = try_lock(path)

    assert descriptor is not None
    assert os.read(descriptor, 10) == b"new"
    os.close(descriptor)


def test_waiting_can_be_called_off(tmp_path: Path) -> None:
    path, descriptor = create_locked(tmp_path, prefix="x-")
    stop = threading.Event()
    stop.set()

    with pytest.raises(StoppedError):
        wait_for_lock(path, stop=stop)
    os.close(descriptor)


def test_many_share_and_one_excludes(tmp_path: Path) -> None:
    path = tmp_path / "use.lock"

    with shared(path), shared(path), exclusive(path, wait_seconds=0.1) as held:
        assert not held
    with exclusive(path, wait_seconds=0) as held, exclusive(path, wait_seconds=0) as second:
        assert held
        assert not second


def test_an_exclusive_holder_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "use.lock"
    entered = threading.Event()
    order: list[str] = []

    def share() -> None:
        entered.set()
        with shared(path):
            order.append("shared")

    with exclusive(path, wait_seconds=0) as held:
        assert held
        thread = threading.Thread(target=share)
        thread.start()
        entered.wait(10)
        time.sleep(0.1)
        order.append("exclusive")
    thread.join(10)

    assert order == ["exclusive", "shared"]


def test_a_block_holds_its_lock_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path):
        assert try_lock(path) is None
    descriptor = try_lock(path)
    assert descriptor is not None
    os.close(descriptor)
