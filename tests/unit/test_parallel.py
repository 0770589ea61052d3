import threading
import time

import pytest

from envbuild.parallel import DaemonPool, StoppedError, run_all


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

    with pytest.raises(KeyError):
        run_all(work, range(100), workers=2, stop=stop, on_stop=lambda: stopped.append(stop.is_set()))

    assert stopped == [True]
    assert sorted(begun) == [0, 1]


def test_a_thread_that_does_not_notice_is_left_behind() -> None:
    release = threading.Event()
    done: list[int] = []

    def work(item: int) -> None:
        if item:
            raise KeyError(item)
        release.wait(30)
        done.append(item)

    with pytest.raises(KeyError):
        run_all(work, [0, 1], workers=2)

    assert done == []
    release.set()


def test_work_that_was_called_off_before_it_began_ends() -> None:
    stop = threading.Event()
    stop.set()

    with pytest.raises(StoppedError):
        run_all(lambda item: pytest.fail(str(item)), [1, 2, 3], workers=2, stop=stop)


def test_work_that_is_called_off_while_the_last_one_succeeds_ends() -> None:
    stop = threading.Event()
    done: list[int] = []

    def work(item: int) -> None:
        stop.set()
        done.append(item)

    with pytest.raises(StoppedError):
        run_all(work, [1, 2], workers=1, stop=stop)
    assert done == [1]


def test_work_that_is_called_off_when_all_is_done_is_done() -> None:
    stop = threading.Event()
    run_all(lambda _: stop.set(), [1], workers=1, stop=stop)


def test_what_is_in_the_background_gives_its_result_or_its_error() -> None:
    def fail() -> None:
        raise KeyError("x")

    with DaemonPool() as background:
        good, bad = background.submit(lambda: 7), background.submit(fail)
        assert good.result() == 7
        with pytest.raises(KeyError):
            bad.result()


def test_what_is_in_the_background_is_called_off_and_left_behind() -> None:
    release, noticed = threading.Event(), threading.Event()
    done: list[str] = []

    def interrupted() -> None:
        with DaemonPool() as background:

            def notice() -> None:
                background.stop.wait(30)
                noticed.set()

            def ignore() -> None:
                release.wait(30)
                done.append("ignored")

            background.submit(ignore)
            background.submit(notice)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert done == []
    release.set()
    assert noticed.wait(30)
