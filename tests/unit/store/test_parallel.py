import threading
import time

import pytest

from envbuild.store.parallel import run_all


def test_everything_is_done_in_order_by_at_most_so_many() -> None:
    begun: list[int] = []
    running: set[int] = set()
    most: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> None:
        with lock:
            begun.append(item)
            running.add(item)
            most.append(len(running))
        time.sleep(0.005)
        with lock:
            running.discard(item)

    run_all(work, range(30), workers=3)

    assert begun == list(range(30))
    assert max(most) == 3


def test_nothing_to_do() -> None:
    run_all(lambda item: pytest.fail(str(item)), [], workers=4)


def test_the_first_failure_ends_the_rest() -> None:
    stop = threading.Event()
    stopped: list[bool] = []
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise KeyError(item)
        stop.wait(10)

    started = time.monotonic()
    with pytest.raises(KeyError):
        run_all(work, range(100), workers=2, stop=stop, on_stop=lambda: stopped.append(stop.is_set()))

    assert time.monotonic() - started < 5
    assert stopped == [True]
    assert sorted(begun) == [0, 1]


def test_a_thread_that_does_not_notice_is_left_behind() -> None:
    release = threading.Event()

    def work(item: int) -> None:
        if item:
            raise KeyError(item)
        release.wait(30)

    started = time.monotonic()
    with pytest.raises(KeyError):
        run_all(work, [0, 1], workers=2)
    release.set()

    assert time.monotonic() - started < 5
