import threading

import pytest

from envbuild.progress import SILENT, ByteCounter
from tests.rig.progress import RecordedProgress


def test_bytes_add_up_and_may_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envbuild.progress.EVERY_SECONDS", 0)
    progress = RecordedProgress()
    counter = ByteCounter(progress, 40)
    for size in (20, 10, -20, 30):
        counter.add(size)
    assert progress.bytes == [(0, 40), (20, 40), (30, 40), (10, 40), (40, 40)]


def test_reports_do_not_come_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envbuild.progress.EVERY_SECONDS", 1000)
    progress = RecordedProgress()
    counter = ByteCounter(progress, 40)
    for _ in range(40):
        counter.add(1)
    assert progress.bytes == [(0, 40), (40, 40)]


def test_threads_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envbuild.progress.EVERY_SECONDS", 0)
    progress = RecordedProgress()
    counter = ByteCounter(progress, 800)

    def work() -> None:
        for _ in range(100):
            counter.add(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert progress.bytes == [(done, 800) for done in range(801)]


def test_nothing_to_move_is_not_reported() -> None:
    progress = RecordedProgress()
    ByteCounter(progress, 0)
    assert progress.bytes == []


def test_nobody_need_look() -> None:
    ByteCounter(SILENT, 1).add(1)
