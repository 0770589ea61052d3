"""The same function over many items on all processors, without the semaphores of ``multiprocessing``.

Those live in ``/dev/shm``, which a container need not have; a fork and a pipe always work.
"""

import heapq
import marshal
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any


class WorkerError(OSError):
    """A worker failed before it was done."""


def spread(
    items: Iterable[tuple[int, str]], work: Callable[[str], Any], *, when_fatal: Any = None
) -> dict[str, Any]:
    """Return ``work(item)`` by item, done by one process per processor.

    ``items`` come with a weight (bytes): the heaviest are dealt first, each to the least laden worker.
    Results must be values that ``marshal`` knows.  ``when_fatal`` is the result for an item that kills its
    worker, as broken bytecode can.

    :raises WorkerError: the work itself failed; all workers are ended.
    """
    running = []
    results: dict[str, Any] = {}
    try:
        for share in deal(items, len(os.sched_getaffinity(0))):
            running.append((share, *_start(share, work)))  # noqa: PERF401 - those started are ended below
        while running:
            share, child, pipe = running.pop(0)
            answers = _collect(child, pipe)
            if answers is None:
                answers = _one_by_one(share, work, when_fatal)
            results.update(answers)
    finally:
        for _, child, pipe in running:
            os.close(pipe)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return results


def deal(items: Iterable[tuple[int, str]], hands: int) -> list[list[str]]:
    """Return at most ``hands`` lists of about the same weight, none of them empty."""
    ordered = sorted(items, reverse=True)
    shares: list[list[str]] = [[] for _ in range(min(hands, len(ordered)))]
    laden = [(0, number) for number in range(len(shares))]
    for weight, item in ordered:
        load, number = heapq.heappop(laden)
        shares[number].append(item)
        heapq.heappush(laden, (load + weight + 1, number))
    return shares


def _one_by_one(share: Iterable[str], work: Callable[[str], Any], when_fatal: Any) -> dict[str, Any]:
    """Do what a killed worker had to do, each item in a process of its own, to find which one it was."""
    results: dict[str, Any] = {}
    for item in share:
        answers = _collect(*_start([item], work))
        results.update({item: when_fatal} if answers is None else answers)
    return results


def _collect(child: int, pipe: int) -> dict[str, Any] | None:
    """Return a worker's results, or None when a signal ended it."""
    with os.fdopen(pipe, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    if status != 0:
        raise WorkerError(f"a worker of the probe failed: {answer.decode(errors='replace').strip()}")
    results: dict[str, Any] = marshal.loads(answer)  # noqa: S302 - our own child wrote it
    return results


def _start(share: Sequence[str], work: Callable[[str], Any]) -> tuple[int, int]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child:
        os.close(write_end)
        return child, read_end
    status = 1
    try:
        os.close(read_end)
        with os.fdopen(write_end, "wb") as stream:
            try:
                stream.write(marshal.dumps({item: work(item) for item in share}))
                status = 0
            except Exception:  # noqa: BLE001 - the parent reports whatever it was
                stream.write(traceback.format_exc(limit=-3).encode(errors="replace"))
    finally:
        # nothing of the parent may run a second time: no exit handlers, no buffers
        os._exit(status)
