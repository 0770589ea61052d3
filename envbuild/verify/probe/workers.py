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
    """A worker ended before it was done."""


def spread(items: Iterable[tuple[int, str]], work: Callable[[str], Any]) -> dict[str, Any]:
    """Return ``work(item)`` by item, done by one process per processor.

    ``items`` come with a weight (bytes): the heaviest are dealt first, each to the least laden worker.
    Results must be values that ``marshal`` knows.

    :raises WorkerError: a worker was killed or failed; the others are ended.
    """
    shares = deal(items, len(os.sched_getaffinity(0)))
    if len(shares) == 1:
        return {item: work(item) for item in shares[0]}
    children: list[tuple[int, int]] = []
    results: dict[str, Any] = {}
    try:
        for share in shares:
            children.append(_start(share, work))  # noqa: PERF401 - those started are ended when one cannot be
        while children:
            child, pipe = children[0]
            with os.fdopen(pipe, "rb") as stream:
                answer = stream.read()
            children.pop(0)
            _, status = os.waitpid(child, 0)
            if status != 0:
                said = answer.decode(errors="replace").strip() or f"wait status {status}"
                raise WorkerError(f"a worker of the probe failed: {said}")
            results.update(marshal.loads(answer))  # noqa: S302 - our own child wrote it
    finally:
        for child, pipe in children:
            os.close(pipe)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return results


def deal(items: Iterable[tuple[int, str]], hands: int) -> list[list[str]]:
    """Return at most ``hands`` lists of about the same weight, and at least one."""
    ordered = sorted(items, reverse=True)
    shares: list[list[str]] = [[] for _ in range(max(1, min(hands, len(ordered))))]
    laden = [(0, number) for number in range(len(shares))]
    for weight, item in ordered:
        load, number = heapq.heappop(laden)
        shares[number].append(item)
        heapq.heappush(laden, (load + weight + 1, number))
    return shares


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
