import threading

import pytest

from envbuild.progress import SILENT, ByteCounter, SharedDisplay
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


def test_a_count_stands_below_the_stage_of_its_own_work() -> None:
    progress = RecordedProgress()
    display = SharedDisplay(progress)
    wheels, debs = display.work(), display.work()
    wheels.on_stage("wheels")
    debs.on_stage("debs")
    wheels.on_count(1, 2)
    wheels.on_item("numpy")
    wheels.on_count(2, 2)
    debs.on_bytes(3, 4)
    debs.on_note("by the way")

    assert progress.stages == ["wheels", "debs", "wheels", "debs"]
    assert (progress.counts, progress.items) == ([(1, 2), (2, 2)], ["numpy"])
    assert (progress.bytes, progress.notes) == ([(3, 4)], ["by the way"])


def test_a_work_that_has_named_no_stage_repeats_none() -> None:
    progress = RecordedProgress()
    display = SharedDisplay(progress)
    display.work().on_stage("debs")
    display.work().on_item("numpy")

    assert progress.stages == ["debs"]
