"""What is attached to runs, as text: hostile records stay within their cells."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import envbuild_runtime
import pytest
from envbuild_runtime import texts

from envbuild.digest import sha256_bytes

HOSTILE = "a`b``c|d\n# e\x1b[31m<script>"


def test_there_are_four_files(recorded: dict[str, Any], locked: dict[str, Any]) -> None:
    found = texts.files(envbuild_runtime.environment())

    assert sorted(found) == ["card.md", "environment.json", "lock.json", "run.json"]
    assert json.loads(found["run.json"]) == recorded
    assert json.loads(found["lock.json"]) == locked
    assert json.loads(found["environment.json"])["run"] == recorded


def test_without_record_and_lock_there_are_two() -> None:
    assert sorted(texts.files(envbuild_runtime.environment())) == ["card.md", "environment.json"]


def test_the_card_says_what_a_reader_asks_for(recorded: dict[str, Any]) -> None:
    card = envbuild_runtime.card()

    assert card.startswith("# Environment `train`\n")
    for line in (
        f"| target | `{recorded['target']}` |",
        "| image | `train:aaaaaaaaaaaa`, `sha256:" + "c" * 64 + "` |",
        "| commit | `" + "d" * 40 + "`, with changes |",
        "| command | `python train.py --name 'two words'` |",
        "| variables | `PYTHONHASHSEED=0` |",
        "| GPUs | `NVIDIA H200, NVIDIA H200` |",
        "| `images` | `sha256:" + "e" * 64 + "` | `/data/images` |",
        "    git checkout " + "d" * 40,
        "    cd ml",
        "    envbuild run -- python train.py --name 'two words'",
    ):
        assert line in card.splitlines()
    assert "***" not in card


def test_a_variant_is_named_and_redaction_said() -> None:
    run = {"command": ["train", "--token=***"], "redacted": True, "variant": "gpu"}

    card = texts.card({"run": run})

    assert "    envbuild run --variant gpu -- train '--token=***'\n" in card
    assert "written as `***`" in card


def test_a_record_of_another_image_is_told(recorded: dict[str, Any], locked: dict[str, Any]) -> None:
    assert f"| target of the record, which is another | `{recorded['target']}` |" in envbuild_runtime.card()


def test_nothing_known_is_a_card_still() -> None:
    assert texts.card({}) == "# Environment `unknown`\n\n| | |\n|---|---|\n"


def test_hostile_values_stay_in_their_cells() -> None:
    run = {
        "command": [HOSTILE],
        "variables": {HOSTILE: HOSTILE},
        "git": {"commit": HOSTILE, "folder": HOSTILE},
    }
    environment = {
        "target": {"name": HOSTILE, "digest": HOSTILE},
        "run": run,
        "git": run["git"],
        "data": [{"name": HOSTILE, "digest": HOSTILE}, "no entry"],
        "image": HOSTILE,
    }

    lines = texts.card(environment).splitlines()

    assert not [line for line in lines if not line.isprintable()]
    assert [line for line in lines if line.startswith("#")][1:] == ["## Data", "## Again"]
    for line in lines:
        if line.startswith("| ") and "|---" not in line:
            assert line.replace("\\|", "").count("|") in {3, 4}


def test_code_is_longer_fenced_than_what_it_holds() -> None:
    assert texts.code("a") == "`a`"
    assert texts.code("a`b") == "``a`b``"
    assert texts.code("`a") == "`` `a ``"
    assert texts.code(None) == texts.code("") == ""
    assert len(texts.code("x" * 10_000)) == texts.LONGEST_CELL + 3


def test_commands_of_the_card_are_single_words_of_a_shell() -> None:
    environment = {"run": {"command": ["a b", "$(rm x)"], "git": {"commit": "x; rm -rf /"}}}

    checkout, run = [line[4:] for line in texts.card(environment).splitlines() if line.startswith("    ")]

    assert shlex.split(checkout) == ["git", "checkout", "x; rm -rf /"]
    assert shlex.split(run) == ["envbuild", "run", "--", "a b", "$(rm x)"]


def test_json_in_a_code_block_is_json() -> None:
    value = {"a": ["b\n    c", 1.5, None], "ü": {}}

    block = texts.code_block(texts.pretty(value))

    assert json.loads(block) == value
    assert all(line.startswith("    ") for line in block.splitlines())


def test_files_are_written_whole_and_only_if_they_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"

    assert texts.write_if_changed(str(path), b"one")
    first = path.stat()
    assert not texts.write_if_changed(str(path), b"one")
    assert path.stat() == first
    assert texts.write_if_changed(str(path), b"on")
    assert path.read_bytes() == b"on"
    assert [left.name for left in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_file_and_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        texts.write_if_changed(str(path), b"new")

    assert [left.name for left in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()

    with pytest.raises(OSError, match="file"):
        texts.write_if_changed(str(tmp_path / "file"), b"new")
    assert [left.name for left in tmp_path.iterdir()] == ["file"]


def test_the_whole_lock_is_attached_where_the_run_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "envbuild.lock").write_bytes(b"version = 1\n")
    monkeypatch.chdir(tmp_path)
    digest = sha256_bytes(b"version = 1\n")
    assert texts.files({"run": {"lock": {"sha256": digest}}})["envbuild.lock"] == b"version = 1\n"
