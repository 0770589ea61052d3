"""Many pieces of work on a few threads, which end at once when one fails or the user interrupts."""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

GRACE_SECONDS = 1.0
"""How long threads may take to notice that they were called off before they are left behind."""

_DONE, _ENDED = "an item is done", "a thread has ended"


class StoppedError(Exception):
    """The work was called off, by whoever holds its stop event; never shown to a user."""


def run_all(
    work: Callable[[Item], None],
    items: Iterable[Item],
    *,
    workers: int,
    stop: threading.Event | None = None,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Do ``work`` on every item, in their order, ``workers`` at a time.

    The first exception, or one raised in this thread meanwhile such as :class:`KeyboardInterrupt`, sets
    ``stop``, calls ``on_stop`` and is raised; items not begun are left.  The threads are daemons: one
    that sits in a system call does not keep the program from ending.

    :raises StoppedError: ``stop`` was set by somebody else, and items are left.
    """
    waiting = deque(items)
    outcomes: queue.SimpleQueue[BaseException | str] = queue.SimpleQueue()
    called_off = stop or threading.Event()

    def labour() -> None:
        with contextlib.suppress(IndexError):
            while not called_off.is_set():
                error = _outcome(work, waiting.popleft())
                # told first: what others raise because they were stopped must come after it
                outcomes.put(error or _DONE)
                if error is not None:
                    called_off.set()
        outcomes.put(_ENDED)

    expected = len(waiting)
    threads = [threading.Thread(target=labour, daemon=True) for _ in range(min(workers, expected))]
    with _calling_off(called_off, threads, on_stop):
        for thread in threads:
            thread.start()
        done, at_work = 0, len(threads)
        while done < expected:
            outcome = outcomes.get()
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome == _DONE:
                done += 1
                continue
            at_work -= 1
            if not at_work:
                raise StoppedError


def _outcome(work: Callable[[Item], None], item: Item) -> BaseException | None:
    try:
        work(item)
    except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
        return error
    return None


@contextlib.contextmanager
def _calling_off(
    stop: threading.Event, threads: Iterable[threading.Thread], on_stop: Callable[[], None]
) -> Iterator[None]:
    try:
        yield
    except BaseException:
        stop.set()
        on_stop()
        _join(threads)
        raise


def _join(threads: Iterable[threading.Thread]) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))


class Background:
    """Work beside this thread's own, as a context manager; left behind when this one fails.

    Its threads are daemons, as those of :func:`run_all` are: the program ends although they may sit in a
    download.  Who leaves without an exception has waited for every result.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        """Set when what is under way is not wanted any more."""
        self._threads: list[threading.Thread] = []

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Begin ``work``; return what will hold its result, or its exception."""
        future: Future[Result] = Future()

        def labour() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)

        thread = threading.Thread(target=labour, daemon=True)
        self._threads.append(thread)
        thread.start()
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop.set()
            _join(self._threads)
