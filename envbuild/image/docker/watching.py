"""One container from its start to its end: what it writes is read, within the limits it has."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from docker.models.containers import Container

from envbuild.errors import EngineError
from envbuild.image.docker.connection import engine_errors
from envbuild.image.engine import ContainerOutcome, RunLimits
from envbuild.image.limits import BoundedOutput, too_long, too_much_memory

LEAST_WAIT_SECONDS = 1.0
"""How long the engine may take, at the end of the time, to say how a container ended."""


def watch(container: Container, limits: RunLimits | None) -> ContainerOutcome:
    """Start a container that was made, and return what it wrote and how it ended.

    It may be running still when an error is raised: whoever made it removes it.

    :raises LimitExceededError: it went beyond ``limits``.
    :raises EngineError: the engine does not answer, or does not start the command.
    """
    output = BoundedOutput(limits)
    with engine_errors():
        attached = container.attach(stream=True, demux=True, stdout=True, stderr=True)
        try:
            container.start()
            deadline = None if limits is None else time.monotonic() + limits.seconds
            with _hung_up(container, attached, limits):
                for out, err in attached:
                    output.add("standard output", out or b"")
                    output.add("standard error", err or b"")
        finally:
            # Docker's SDK leaves the socket of an attached container to the garbage collector
            response = getattr(attached, "_response", None)
            if response is not None:
                with contextlib.suppress(OSError):
                    response.close()
        status = _wait(container, limits, deadline)
        if limits is not None:
            container.reload()
            # also a child of a command that went on without it
            if container.attrs["State"].get("OOMKilled"):
                raise too_much_memory(limits)
    return ContainerOutcome(
        exit_status=status, stdout=output.of("standard output"), stderr=output.of("standard error")
    )


@contextlib.contextmanager
def _hung_up(container: Container, attached: Any, limits: RunLimits | None) -> Iterator[None]:
    """End the reading of ``attached`` when the time is over: the SDK waits for output without end.

    :raises LimitExceededError: the time was over.
    """
    if limits is None:
        yield
        return
    over = threading.Event()

    def hang_up() -> None:
        over.set()
        try:
            attached.close()
        except Exception:  # noqa: BLE001 - what the SDK cannot close, the container closes when it is killed
            with contextlib.suppress(Exception):
                container.kill()

    timer = threading.Timer(limits.seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        # a stream that is closed while it is read fails in several ways
        if over.is_set():
            raise too_long(limits) from error
        raise
    finally:
        timer.cancel()
        timer.join()
    if over.is_set():
        raise too_long(limits)


def _wait(container: Container, limits: RunLimits | None, deadline: float | None) -> int:
    """Return the exit status of a container that may have closed its streams and go on.

    :raises LimitExceededError: it did not end in time.
    """
    if limits is None or deadline is None:
        return int(container.wait()["StatusCode"])
    try:
        with engine_errors():
            answer = container.wait(timeout=max(deadline - time.monotonic(), LEAST_WAIT_SECONDS))
    except EngineError as error:
        if time.monotonic() < deadline:
            raise
        raise too_long(limits) from error
    return int(answer["StatusCode"])
