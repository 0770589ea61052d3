"""Limits of commands in containers: what is kept of their output, and errors in words."""

from envbuild.errors import LimitExceededError
from envbuild.image.engine import RunLimits
from envbuild.process import Stream


class BoundedOutput:
    """What a command wrote, and never more of it in memory than its limit."""

    def __init__(self, limits: RunLimits | None) -> None:
        """``limits`` None: as much as comes."""
        self._limits = limits
        self._kept: dict[Stream, bytearray] = {"standard output": bytearray(), "standard error": bytearray()}

    def add(self, stream: Stream, data: bytes) -> None:
        """Keep ``data``.

        :raises LimitExceededError: with it the stream has more bytes than the limit; it is not kept.
        """
        kept = self._kept[stream]
        if self._limits is not None and len(kept) + len(data) > self._limits.output:
            raise too_much_output(self._limits, stream)
        kept += data

    def of(self, stream: Stream) -> bytes:
        """Return what was kept of a stream."""
        return bytes(self._kept[stream])


def too_long(limits: RunLimits) -> LimitExceededError:
    """Return the error of a container that did not end in time."""
    unit = "second" if limits.seconds == 1 else "seconds"
    return LimitExceededError(f"the container did not end within {limits.seconds:g} {unit}")


def too_much_output(limits: RunLimits, stream: Stream) -> LimitExceededError:
    """Return the error of a container that wrote too much."""
    return LimitExceededError(f"the container wrote more than {_readable(limits.output)} to {stream}")


def too_much_memory(limits: RunLimits) -> LimitExceededError:
    """Return the error of a container that used too much memory."""
    return LimitExceededError(f"the container used more than {_readable(limits.memory)} of memory")


def too_many_processes(limits: RunLimits) -> LimitExceededError:
    """Return the error of a container that started too many processes."""
    return LimitExceededError(f"the container had more than {limits.processes} processes and threads")


def _readable(size: int) -> str:
    """Return a number of bytes as limits are given: in the largest binary unit that leaves no rest."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 1 << 10 * power and size % (1 << 10 * power) == 0:
            return f"{size >> 10 * power} {unit}"
    return f"{size} bytes"
