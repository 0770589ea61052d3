"""A container that does not end, behind an engine that is a test double."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests.exceptions

from envbuild.errors import EngineError, LimitExceededError
from envbuild.image.docker.watching import watch
from envbuild.image.engine import RunLimits

LIMITS = RunLimits(seconds=0.2, memory=1 << 20, output=10, processes=5)

Piece = tuple[bytes | None, bytes | None]


class Stream:
    """What the SDK gives of an attached container: pieces, then silence until somebody closes it."""

    def __init__(self, pieces: list[Piece], *, ends: bool, refuses: bool = False) -> None:
        self.pieces = pieces
        self.ends = ends
        self.refuses = refuses
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Piece]:
        yield from self.pieces
        if not self.ends:
            assert self.closed.wait(10)
            raise ValueError("file descriptor cannot be a negative integer (-1)")

    def close(self) -> None:
        if self.refuses:
            raise AttributeError("_sock")
        self.closed.set()


class Container:
    """A container that ends when its stream does, or not."""

    def __init__(self, *pieces: Piece, ends: bool = True, **changes: Any) -> None:
        self.stream = Stream(list(pieces), ends=ends, refuses=changes.get("refuses", False))
        self.waits_for: Exception | None = changes.get("waits_for")
        self.attrs = {"State": {"OOMKilled": changes.get("out_of_memory", False)}}
        self.timeouts: list[float | None] = []

    def attach(self, **_options: Any) -> Stream:
        return self.stream

    def start(self) -> None:
        """It starts at once."""

    def kill(self) -> None:
        self.stream.closed.set()

    def wait(self, timeout: float | None = None) -> dict[str, int]:
        self.timeouts.append(timeout)
        if self.waits_for is not None:
            time.sleep(0.3)
            raise self.waits_for
        return {"StatusCode": 137}

    def reload(self) -> None:
        """Nothing changes."""


def watched(container: Any, limits: RunLimits | None = LIMITS) -> Any:
    return watch(container, limits)


def test_each_stream_may_have_its_limit_and_no_byte_more() -> None:
    outcome = watched(Container((b"12345", None), (None, b"abcdefghij"), (b"67890", None)))
    assert (outcome.exit_status, outcome.stdout, outcome.stderr) == (137, b"1234567890", b"abcdefghij")
    with pytest.raises(LimitExceededError, match="the container wrote more than 10 bytes to standard error"):
        watched(Container((b"1234567890", b"abcdefghij"), (None, b"k"), ends=False))


@pytest.mark.parametrize("refuses", [False, True], ids=["closed", "killed"])
def test_one_that_says_nothing_is_not_waited_for(refuses: bool) -> None:
    threads = threading.active_count()
    container = Container((b"out", None), ends=False, refuses=refuses)
    with pytest.raises(LimitExceededError, match=r"the container did not end within 0\.2 seconds"):
        watched(container)
    assert container.timeouts == []
    assert threading.active_count() == threads


# what requests makes of a wait for the body of an answer, and for the answer
@pytest.mark.parametrize("error", [requests.exceptions.ConnectionError, requests.exceptions.ReadTimeout])
def test_one_that_closed_its_streams_is_not_waited_for(error: type[Exception]) -> None:
    container = Container(waits_for=error("Read timed out."))
    with pytest.raises(LimitExceededError, match="did not end within"):
        watched(container)
    assert container.timeouts == [1.0]


def test_an_engine_that_goes_away_earlier_is_what_it_is() -> None:
    with pytest.raises(EngineError, match="no Docker Engine answers") as raised:
        watched(
            Container(waits_for=requests.exceptions.ConnectionError("reset")),
            RunLimits(seconds=60, memory=1, output=1, processes=1),
        )
    assert not isinstance(raised.value, LimitExceededError)


def test_the_engine_says_that_memory_was_wanted() -> None:
    with pytest.raises(LimitExceededError, match="the container used more than 1 MiB of memory"):
        watched(Container(out_of_memory=True))
    # of a machine that ran out of it, without any limit
    assert watched(Container(out_of_memory=True), None).exit_status == 137


def test_without_limits_the_end_is_waited_for() -> None:
    container = Container((b"x" * 1000, None))
    assert len(watched(container, None).stdout) == 1000
    assert container.timeouts == [None]
