"""The live line of a terminal shows texts as they are, whatever rich would read into them."""

import contextlib

import pytest

from envbuild.cli.live import LiveActivity
from envbuild.cli.output import LiveOnDemand

TEXTS = ("[conda] has [base 1/5] RUN x", "an end [/docs] of nothing", "a :warning: of 10.0.0.1:5000/x")


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize("text", TEXTS)
def test_a_note_is_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveActivity() as live:
        live.on_note(text)
        live.on_note(text)

    shown = capsys.readouterr().err
    assert shown.count(text) == 1
    assert "\x1b[33mnote:\x1b[0m" in shown


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_done_is_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveActivity() as live:
        live.on_stage("building")
        live.on_item(text)

    assert text in capsys.readouterr().err


def test_the_line_is_opened_by_the_first_report(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.ExitStack() as stack:
        live = LiveOnDemand(stack)
        assert capsys.readouterr().err == ""
        live.on_stage("building")
        live.end()

    assert "building" in capsys.readouterr().err


def test_a_report_after_the_end_opens_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.ExitStack() as stack:
        live = LiveOnDemand(stack)
        live.end()
    live.on_stage("building")

    assert capsys.readouterr().err == ""
