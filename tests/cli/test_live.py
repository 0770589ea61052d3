"""The live line: texts as they are, whatever rich would read into them, from any thread."""

import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import pytest

from envbuild.cli import live as display
from envbuild.cli.activity import LiveOnDemand
from envbuild.cli.live import LiveProgress

TEXTS = ("[conda] has [base 1/5] RUN x", "an end [/docs] of nothing", "a :warning: of 10.0.0.1:5000/x")


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize("text", TEXTS)
def test_a_note_is_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveProgress() as live:
        live.on_note(text)
        live.on_note(text)

    shown = capsys.readouterr().err
    assert shown.count(text) == 1
    assert "\x1b[33mnote:\x1b[0m" in shown


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_done_is_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveProgress() as live:
        live.on_stage("building")
        live.on_item(text)
        # what is said above the line draws it anew
        live.on_note("a note")

    assert text in capsys.readouterr().err


def test_the_line_is_opened_by_the_first_report(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveOnDemand() as live:
        assert capsys.readouterr().err == ""
        live.on_stage("building")

    assert "building" in capsys.readouterr().err


def test_a_report_after_the_end_opens_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveOnDemand() as live:
        pass
    live.on_stage("building")

    assert capsys.readouterr().err == ""


def test_threads_may_report_stages_at_once():
    """Two of the local engine do: one fetches wheels, the other Debian packages."""

    def report(text: str) -> Callable[[], None]:
        def calls() -> None:
            live.on_stage(text)
            live.on_item(text)
            live.on_bytes(1, 2)
            live.on_note("of both")

        return calls

    with LiveProgress() as live:
        live.on_stage("the first")
        raised = in_step([report("wheels"), report("Debian packages")])

    assert raised == []


def in_step(tasks: Sequence[Callable[[], None]]) -> list[BaseException]:
    """Run tasks in threads, each a line of the display at a time, and return what they raise.

    Before each line a thread waits for the others to be at one, so that all read what none has written yet.
    Where none comes, as when they wait at a lock, it does the rest of its report alone.
    """
    raised: list[BaseException] = []
    barrier = threading.Barrier(len(tasks))
    alone = threading.local()

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename != display.__file__:
            return None
        if event == "call" and frame.f_code.co_name.startswith("on_"):
            alone.now = False
        elif event == "line" and not alone.now:
            try:
                barrier.wait(timeout=0.05)
            except threading.BrokenBarrierError:
                alone.now = True
                barrier.reset()
        return trace

    def run(task: Callable[[], None]) -> None:
        sys.settrace(trace)
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - the test asserts that there is none
            raised.append(error)
        finally:
            sys.settrace(None)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
