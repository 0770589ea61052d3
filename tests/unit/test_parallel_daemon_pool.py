import threading
import time

import pytest

from envbuild.parallel import DaemonPool


def test_jobs_run_side_by_side_up_to_the_limit() -> None:
    background = DaemonPool(2)
    together = threading.Barrier(2, timeout=5)
    futures = [background.submit(together.wait) for _ in range(4)]
    assert sorted(future.result(5) for future in futures) == [0, 0, 1, 1]
    background.close()


def test_what_goes_wrong_reaches_whoever_asks_and_the_thread_lives_on() -> None:
    background = DaemonPool(1)
    failing = background.submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        failing.result(5)
    assert background.submit(int, "7").result(5) == 7
    background.close()


def test_a_job_after_another_waits_without_holding_a_thread() -> None:
    background = DaemonPool(1)
    gate = threading.Event()
    first = background.submit(gate.wait, 5)
    then = background.after(first, first.done)
    also = background.after(background.submit(int, "x"), lambda: "after a failure")
    gate.set()
    assert then.result(5) is True
    assert also.result(5) == "after a failure"
    background.close()


def test_a_cancelled_job_does_not_run() -> None:
    background = DaemonPool(1)
    gate = threading.Event()
    background.submit(gate.wait, 5)
    ran: list[int] = []
    waiting = background.submit(ran.append, 1)
    assert waiting.cancel()
    gate.set()
    background.submit(ran.append, 2).result(5)
    assert ran == [2]
    background.close()


def test_threads_end_when_closed() -> None:
    # others of this process come and go meanwhile
    before = set(threading.enumerate())
    background = DaemonPool(3)
    for future in [background.submit(time.sleep, 0) for _ in range(3)]:
        future.result(5)
    own = set(threading.enumerate()) - before
    background.close()
    for thread in own:
        thread.join(5)
    assert own
    assert not any(thread.is_alive() for thread in own)
