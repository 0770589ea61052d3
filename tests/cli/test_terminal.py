"""The live line as a person sees it, on a pseudo-terminal."""

import re

import pytest

from tests.rig.terminal import CTRL_C, Terminal, told

pytestmark = pytest.mark.slow

WIDTHS = (60, 80, 200)
LIVE = re.compile(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] (?P<text>.+…) (?P<bar>━+[╸╺]━+) 12\.3/45\.6 MB 0:\d\d:\d\d")


def run(scenario: str, *, columns: int = 80, reflows: bool = False) -> Terminal:
    return Terminal("-m", "tests.rig.live_program", scenario, columns=columns, reflows=reflows)


def has_bar(terminal: Terminal) -> bool:
    return bool(terminal.live and LIVE.fullmatch(terminal.live[0]))


@pytest.mark.parametrize("columns", WIDTHS)
def test_text_bar_and_clock_are_on_one_line(columns: int):
    with run("local", columns=columns) as terminal:
        terminal.wait_for(lambda: has_bar(terminal))
        found = LIVE.fullmatch(terminal.live[0])
        assert found
        assert len(found["text"]) >= 20
        assert len(found["bar"]) >= 10
        assert terminal.screen.cursor.hidden
        terminal.go_on()
        terminal.wait_for(lambda: "said by a library" in terminal.lines and has_bar(terminal))
        terminal.go_on()

        assert terminal.end() == 0
        assert terminal.lines == [
            "the line before",
            "note: a note [x] of :warning: signs",
            "said by a library",
            "done",
        ]
        assert not terminal.screen.cursor.hidden


@pytest.mark.parametrize("reflows", [False, True], ids=["cuts", "reflows"])
def test_the_line_follows_the_window(reflows: bool):
    before = ["the line before", "note: a note [x] of :warning: signs"]
    with run("local", columns=200, reflows=reflows) as terminal:
        terminal.wait_for(lambda: has_bar(terminal))
        for columns in (60, 80, 40, 200):
            terminal.resize(columns)
            terminal.frames.clear()
            terminal.wait_for(lambda: len(terminal.frames) > 2)
            # the first frame after it may have been on its way
            assert all(len(frame) < columns for frame in terminal.frames[1:])
            assert terminal.lines[:-1] == before
        assert len(terminal.live[0]) > 100
        terminal.go_on()
        terminal.go_on()

        assert terminal.end() == 0
        assert terminal.lines == [*before, "said by a library", "done"]


@pytest.mark.parametrize("scenario", ["local", "docker", "error"])
def test_an_interrupt_leaves_nothing_of_the_line(scenario: str):
    with run(scenario) as terminal:
        terminal.wait_for(lambda: terminal.frames)
        terminal.type(CTRL_C)

        assert terminal.end() == 130
        notes = [line for line in terminal.lines if line.startswith("note:")]
        assert terminal.lines == ["the line before", *notes, "interrupted"]
        assert not terminal.screen.cursor.hidden


@pytest.mark.parametrize("columns", WIDTHS)
def test_an_error_leaves_nothing_of_the_line(columns: int):
    with run("error", columns=columns) as terminal:
        terminal.wait_for(lambda: terminal.frames)
        terminal.go_on()

        assert terminal.end() == 1
        assert terminal.lines == ["the line before", "error: no space left"]
        assert not terminal.screen.cursor.hidden


@pytest.mark.parametrize("columns", WIDTHS)
def test_steps_of_the_docker_engine_are_in_plain_words(columns: int):
    with run("docker", columns=columns) as terminal:
        terminal.wait_for(lambda: any("exporting" in frame for frame in terminal.frames))
        terminal.go_on()

        assert terminal.end() == 0
        texts = told(terminal.frames)
        assert {"preparing the base", "installing 31 system packages", "exporting the image"} <= set(texts)
        assert not [text for text in texts if "stage-" in text or "RUN" in text or "/bin/sh" in text]
        assert terminal.lines == ["the line before", "done"]
