"""Many pieces of work on a few threads, which end at once when one fails or the user interrupts."""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

GRACE_SECONDS = 1.0
"""How long threads may take to notice that they were called off before they are left behind."""


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
    """
    waiting = deque(items)
    outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    called_off = stop or threading.Event()

    def labour() -> None:
        with contextlib.suppress(IndexError):
            while not called_off.is_set():
                error = _outcome(work, waiting.popleft())
                # told first: what others raise because they were stopped must come after it
                outcomes.put(error)
                if error is not None:
                    called_off.set()

    expected = len(waiting)
    threads = [threading.Thread(target=labour, daemon=True) for _ in range(min(workers, expected))]
    with _calling_off(called_off, threads, on_stop):
        for thread in threads:
            thread.start()
        for _ in range(expected):
            error = outcomes.get()
            if error is not None:
                raise error


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
        deadline = time.monotonic() + GRACE_SECONDS
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        raise
