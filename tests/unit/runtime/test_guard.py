"""One warning a process, never an exception, and waits that end."""

import logging
import sys
import threading
import warnings

import pytest
from envbuild_runtime import guard


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_only_the_first_warning_is_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        guard.warn("first")
        guard.warn("second")

    (only,) = shown
    assert only.category is guard.EnvbuildRuntimeWarning
    assert str(only.message) == "envbuild-runtime: first; the run goes on"


class Lines(logging.Handler):
    """Keeps what is logged, whatever else listens."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record.getMessage())


def test_where_warnings_are_errors_it_is_logged() -> None:
    lines, logger = Lines(), logging.getLogger("envbuild_runtime")
    logger.addHandler(lines)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            guard.warn("first")
    finally:
        logger.removeHandler(lines)

    assert lines.kept == ["envbuild-runtime: first; the run goes on"]


def test_a_hook_for_warnings_that_raises_is_survived(
    monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no stream")

    monkeypatch.setattr(warnings, "warn", refuse)
    guard.warn("first")

    assert warned == ["first"]


def test_a_message_is_one_bounded_line_without_passwords() -> None:
    assert guard.shown("a\n b\x1b[1m") == "a b?[1m"
    assert guard.shown("at https://me:secret@host/x") == "at https://***@host/x"
    assert guard.shown("http://to:p@ss@host and http://token@host") == "http://***@host and http://***@host"
    assert guard.shown("ssh://git@host/x git@host:x a@b") == "ssh://git@host/x git@host:x a@b"
    assert guard.shown("postgresql://me:secret@host/x") == "postgresql://***@host/x"
    assert len(guard.shown("x" * 10_000)) == guard.LONGEST_MESSAGE + 1
    assert guard.shown(UnprintableError()) == "UnprintableError"


def test_a_hook_that_raises_returns_false(warned: list[str]) -> None:
    @guard.guarded("nothing is attached")
    def hook(value: int) -> bool:
        return 1 / value > 0

    assert hook(1) is True
    assert hook(0) is False
    assert warned == ["nothing is attached: ZeroDivisionError: division by zero"]


def test_a_user_who_interrupts_is_heard() -> None:
    @guard.guarded("nothing")
    def hook() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hook()


def test_within_gives_the_result_or_the_error() -> None:
    assert guard.within(60, lambda: 17) == 17
    with pytest.raises(ZeroDivisionError):
        guard.within(60, lambda: 1 // 0)


def test_within_leaves_behind_what_hangs() -> None:
    end = threading.Event()

    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
        guard.within(0.01, lambda: end.wait(60))
    end.set()


def test_a_fact_that_cannot_be_had_is_none() -> None:
    assert guard.attempt(lambda: sys.maxsize) == sys.maxsize
    assert guard.attempt(lambda: 1 // 0) is None
