import pytest

from envbuild.errors import EngineError, ExitCode, LimitExceededError
from envbuild.image.engine import RunLimits
from envbuild.image.limits import (
    BoundedOutput,
    too_long,
    too_many_processes,
    too_much_memory,
    too_much_output,
)

LIMITS = RunLimits(seconds=120, memory=2 << 30, output=64 << 20, processes=100)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (too_long(LIMITS), "the container did not end within 120 seconds"),
        (too_much_memory(LIMITS), "the container used more than 2 GiB of memory"),
        (
            too_much_output(LIMITS, "standard output"),
            "the container wrote more than 64 MiB to standard output",
        ),
        (too_many_processes(LIMITS), "the container had more than 100 processes and threads"),
    ],
)
def test_words(error, words):
    assert error.message == words
    assert isinstance(error, EngineError)
    assert error.exit_code == ExitCode.ENGINE


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (1, "1 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1025, "1025 bytes"),
        (1536 << 20, "1536 MiB"),
        (3 << 30, "3 GiB"),
    ],
)
def test_sizes(size, words):
    limits = RunLimits(seconds=1, memory=size, output=size, processes=1)
    assert too_much_memory(limits).message == f"the container used more than {words} of memory"
    assert too_long(limits).message == "the container did not end within 1 second"


def test_each_stream_may_have_its_limit_and_no_byte_more():
    output = BoundedOutput(RunLimits(seconds=1, memory=1, output=5, processes=1))
    output.add("standard output", b"abc")
    output.add("standard output", b"de")
    output.add("standard error", b"12345")
    output.add("standard error", b"")
    with pytest.raises(LimitExceededError, match="more than 5 bytes to standard output"):
        output.add("standard output", b"f")
    assert (output.of("standard output"), output.of("standard error")) == (b"abcde", b"12345")


def test_without_limits_everything_is_kept():
    output = BoundedOutput(None)
    output.add("standard error", b"x" * 1_000_000)
    assert len(output.of("standard error")) == 1_000_000
