"""Builds that threads of a server ask for, done by the thread that waits for the server's client.

Only the main thread hears of an interrupt.  So it is the one that runs containers: it ends what it runs, and
nothing is left of it.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from envbuild.errors import EnvbuildError

PATIENCE: Final = 5.0
"""Seconds in which a client may end after an interrupt."""

_Answer = TypeVar("_Answer")
_Wanted = tuple[Callable[[], Any], "Future[Any]"]


@dataclass
class Turns:
    """Work of several threads, done by one, in the order it is asked for; none after some of it failed."""

    _wanted: "SimpleQueue[_Wanted | None]" = field(default_factory=SimpleQueue, init=False)
    _is_served: bool = field(default=False, init=False)
    _failure: Exception | None = field(default=None, init=False)

    def do(self, work: Callable[[], _Answer]) -> _Answer:
        """Return what ``work`` does, done by the thread that is in :meth:`during`, or here if none is."""
        if self._failure is not None:
            raise self._failure
        if not self._is_served:
            return work()
        future: Future[_Answer] = Future()
        self._wanted.put((work, future))
        return future.result()

    def during(self, ask: Callable[[], _Answer]) -> _Answer:
        """Return what ``ask`` returns, called in a thread of its own while this one does what is wanted."""
        answer: Future[_Answer] = Future()

        def run() -> None:
            try:
                answer.set_result(ask())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                answer.set_exception(error)
            self._wanted.put(None)

        self._is_served = True
        client = threading.Thread(target=run, daemon=True)
        client.start()
        try:
            while (wanted := self._wanted.get()) is not None:
                self._do(*wanted)
        finally:
            self._end(client)
        return answer.result()

    def _do(self, work: Callable[[], Any], future: "Future[Any]") -> None:
        if self._failure is not None:
            future.set_exception(self._failure)
            return
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
            self._failure = error
            future.set_exception(error)
        except BaseException:
            self._failure = EnvbuildError("interrupted")
            future.set_exception(self._failure)
            raise

    def _end(self, client: threading.Thread) -> None:
        """Refuse what is still wanted, so that the client ends."""
        self._failure = self._failure or EnvbuildError("the answer is not waited for any more")
        until = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(Empty):
                while True:
                    wanted = self._wanted.get_nowait()
                    if wanted is not None:
                        wanted[1].set_exception(self._failure)
            if not client.is_alive() or time.monotonic() > until:
                return
            client.join(0.05)
