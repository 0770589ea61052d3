"""Cards of runs."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from envbuild.records.card import card
from envbuild.records.found import FoundRun
from envbuild.records.markdown import code, plain
from envbuild.records.model import RecordedData, RecordedGit, RunRecord
from tests.rig.run_records import DIGEST, RECORD

GOLDEN = Path(__file__).parent / "run-card.md"
RUN = FoundRun(
    source="mlflow:4f6a2c",
    record=RECORD.model_copy(
        update={
            "data": (RecordedData(name="images", digest=DIGEST, target="/data/images"),),
            "gpus": ("NVIDIA H200", "NVIDIA H200"),
        }
    ),
    place="tag envbuild.run",
    name="skittish-roo-117",
    status="FINISHED",
    parameters={"lr": "0.1", "layers": "3"},
    metrics={"loss": 0.25, "accuracy": 0.9871},
    artifacts=("envbuild", "model/weights.bin"),
)


def test_the_card_of_a_run() -> None:
    assert card(RUN) == GOLDEN.read_text("utf-8")


def test_the_card_of_a_run_of_which_little_is_known() -> None:
    run = FoundRun(source="wandb:a", record=RunRecord(), place="x", missing=("the lock",))
    assert card(run) == (
        "# Run wandb\\:a\n\nRecorded as `wandb:a`.\n\nNot known to the tracker: the lock.\n\n"
        "## Command\n\nNot recorded.\n\n"
        "## Run it again\n\n```sh\nenvbuild run --from wandb:a -- COMMAND\n```\n\n"
        "## For an appendix\n\nThe run wandb\\:a used the environment unknown.\n"
    )


TAGS = ("link_open", "image", "html_inline", "html_block")

HOSTILE = "](http://x) <img src=x> | `a` ``b`` ##[error] ::warning::x \x1b[2J \u202e\n# head"


def test_hostile_names_and_values_stay_where_they_are() -> None:
    record = RunRecord(command=("a", HOSTILE, "```"), name="a|b<c>`d`")
    hostile = FoundRun(
        source="mlflow:a",
        record=record,
        place="x",
        name=HOSTILE,
        status=HOSTILE,
        parameters={HOSTILE: HOSTILE},
        metrics={HOSTILE: 1.0},
        artifacts=(HOSTILE,),
    )
    text = card(hostile)
    # what is within a block of code is no heading
    outside = re.sub(r"(?m)^(`{3,})sh\n.*?\n\1$", "", text, flags=re.DOTALL)
    headings = [line for line in outside.split("\n") if line.startswith("#")]
    assert [line.split(" ")[0] for line in headings] == ["#", *["##"] * (len(headings) - 1)]
    assert all(sign not in text for sign in "\x1b\u202e\r")
    assert "##[" not in text
    parsed = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    kinds = {token.type for block in parsed for token in (block, *(block.children or ()))}
    assert not kinds & set(TAGS)
    rows = [line for line in outside.split("\n") if line.startswith("|")]
    # each bar within a cell is escaped
    assert {line.replace("\\|", "").count("|") for line in rows} == {3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train v2.1", "train v2.1"),
        ("a_b", "a_b"),
        ("_b_", "\\_b\\_"),
        ("offline-run-1_2: x", "offline-run-1_2: x"),
        ("<b>", "\\<b\\>"),
        ("www.example.org", "www\\.example.org"),
        ("https://x", "https\\://x"),
        ("@team #1", "\\@team \\#1"),
        ("- item", "\\- item"),
        ("1. item", "1. item"),
    ],
)
def test_plain_text(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a|b", "`a\\|b`"), (" ", ""), ("a\nb", "`a\\nb`")],
)
def test_code(text: str, expected: str) -> None:
    assert code(text) == expected


def test_a_bar_behind_a_backslash_ends_no_cell() -> None:
    parameters = {"a": "x\\|[click](http://evil.example)|", "b": "y"}
    found = FoundRun(source="x", record=RunRecord(), place="x", parameters=parameters)
    html = MarkdownIt("commonmark").enable("table").render(card(found))
    assert "<a " not in html
    assert "x\\|[click](http://evil.example)|" in html


def test_a_remote_with_a_password_is_shown_without_it() -> None:
    git = RecordedGit(commit="c" * 40, remote="https://me:hunter2@host.example/a")
    assert "hunter2" not in card(FoundRun(source="x", record=RunRecord(git=git), place="x"))
