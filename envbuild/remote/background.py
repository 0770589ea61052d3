"""Threads for waiting on the network, that never keep the program from ending."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Background:
    """A few daemon threads that run what is submitted, in order of submission.

    ``concurrent.futures`` joins its threads when the interpreter exits, so Ctrl-C would hang until the last
    download ends; these threads are simply dropped.
    """

    def __init__(self, threads: int) -> None:
        self._limit = threads
        self._started = 0
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def submit(
        self, function: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Run ``function`` soon and return the future of its result.

        A function that runs here must not wait for the future of another one: all threads could be waiting.
        """
        future: Future[Result] = Future()
        self._put(future, function, *args, **kwargs)
        return future

    def after(
        self,
        earlier: Future[Any],
        function: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """Run ``function`` once ``earlier`` has ended, well or not, and return the future of its result."""
        future: Future[Result] = Future()
        earlier.add_done_callback(lambda _: self._put(future, function, *args, **kwargs))
        return future

    def close(self) -> None:
        """Let the threads end once the queue is empty."""
        with self._lock:
            for _ in range(self._started):
                self._jobs.put(None)
            self._started = 0

    def _put(
        self,
        future: Future[Result],
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
            if self._started < self._limit:
                self._started += 1
                threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
