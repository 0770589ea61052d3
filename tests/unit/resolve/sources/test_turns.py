"""Builds are done by the thread that waits, so that an interrupt ends them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from envbuild.errors import EnvbuildError
from envbuild.resolve.sources.turns import Turns


def test_what_threads_want_is_done_by_the_thread_that_waits() -> None:
    turns = Turns()

    def ask() -> list[str]:
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda _: turns.do(lambda: threading.current_thread().name), range(3)))

    assert set(turns.during(ask)) == {threading.current_thread().name}


def test_without_anyone_who_waits_it_is_done_at_once() -> None:
    assert Turns().do(lambda: 7) == 7


def test_nothing_is_begun_after_a_failure() -> None:
    turns, begun = Turns(), []

    def work(number: int) -> None:
        begun.append(number)
        raise EnvbuildError(f"number {number} failed")

    def ask() -> list[str]:
        said = []
        for number in range(3):
            with pytest.raises(EnvbuildError) as caught:
                turns.do(partial(work, number))
            said.append(caught.value.message)
        return said

    assert turns.during(ask) == ["number 0 failed"] * 3
    assert begun == [0]


def test_an_interrupt_ends_the_work_and_who_asked_for_it() -> None:
    turns, ended = Turns(), threading.Event()

    def interrupted() -> None:
        raise KeyboardInterrupt

    def ask() -> None:
        try:
            turns.do(interrupted)
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        turns.during(ask)
    assert ended.is_set()


def test_an_error_of_the_client_is_raised_where_it_is_waited_for() -> None:
    def ask() -> None:
        raise EnvbuildError("uv failed")

    with pytest.raises(EnvbuildError, match="uv failed"):
        Turns().during(ask)
