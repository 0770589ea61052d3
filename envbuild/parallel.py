"""Many pieces of work on a few threads, which end at once when one fails or the user interrupts."""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

GRACE_SECONDS = 1.0
"""How long threads may take to notice that they were cancelled before they are left behind."""

_DONE, _ENDED = "an item is done", "a thread has ended"


class StoppedError(Exception):
    """The work was cancelled, by whoever holds its stop event; never shown to a user."""


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
    cancelled = stop or threading.Event()

    def worker() -> None:
        with contextlib.suppress(IndexError):
            while not cancelled.is_set():
                error = _outcome(work, waiting.popleft())
                # told first: what others raise because they were stopped must come after it
                outcomes.put(error or _DONE)
                if error is not None:
                    cancelled.set()
        outcomes.put(_ENDED)

    expected = len(waiting)
    threads = [threading.Thread(target=worker, daemon=True) for _ in range(min(workers, expected))]
    with _cancelling(cancelled, threads, on_stop):
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
def _cancelling(
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


class DaemonPool:
    """Threads that run what is submitted, in order of submission; none of them keeps the program alive.

    ``concurrent.futures`` joins its threads when the interpreter exits, so Ctrl-C would hang until the last
    download ends.  These threads are daemons and are left behind.

    As a context manager the pool closes at the end of the block.  When the block raises, :attr:`stop` is set
    and the threads get :data:`GRACE_SECONDS` to notice.
    """

    def __init__(self, threads: int | None = None) -> None:
        """Create a pool of at most ``threads`` threads; None: one for each piece of work."""
        self.stop = threading.Event()
        """Set when what is under way is no longer wanted."""
        self._limit = threads
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def submit(
        self, function: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> "Future[Result]":
        """Run ``function`` soon and return the future of its result.

        In a pool with a limit, a function must not wait for the future of another one: all threads could
        be waiting.
        """
        future: Future[Result] = Future()
        self._put(future, function, *args, **kwargs)
        return future

    def after(
        self,
        earlier: "Future[Any]",
        function: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> "Future[Result]":
        """Run ``function`` once ``earlier`` has ended, well or not, and return the future of its result."""
        future: Future[Result] = Future()
        earlier.add_done_callback(lambda _: self._put(future, function, *args, **kwargs))
        return future

    def close(self) -> None:
        """Let the threads end once the queue is empty."""
        with self._lock:
            for _ in self._threads:
                self._jobs.put(None)
            self._threads = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        threads = list(self._threads)
        if kind is not None:
            self.stop.set()
        self.close()
        if kind is not None:
            _join(threads)

    def _put(
        self,
        future: "Future[Result]",
        function: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> None:
        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(job)
        with self._lock:
            if self._limit is None or len(self._threads) < self._limit:
                thread = threading.Thread(target=self._work, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
