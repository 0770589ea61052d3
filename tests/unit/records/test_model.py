"""Records as JSON, also hostile ones."""

import json
from typing import Any

import pytest

from envbuild.errors import RecordError
from envbuild.records.model import LARGEST, RunRecord, read_record
from tests.rig.run_records import RECORD


def text_with(**changes: Any) -> str:
    return json.dumps(
        {**RECORD.document(), **{key.replace("_", "-"): value for key, value in changes.items()}}
    )


def test_a_record_comes_back_as_it_was() -> None:
    assert read_record(RECORD.text(), where="x") == RECORD
    assert "\n" not in RECORD.text()


def test_what_is_not_known_is_absent() -> None:
    assert RunRecord(name="train").document() == {"version": 1, "name": "train"}


def test_keys_that_are_not_known_are_ignored() -> None:
    changed = json.loads(text_with(weather="fine"))
    changed["git"]["branch"] = "main"
    assert read_record(json.dumps(changed), where="x") == RECORD


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(RecordError, match=r"^x: .* has version 2, and this envbuild knows 1$"):
        read_record(text_with(version=2, target=5), where="x")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"target": "sha256:abc"}, "target"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"version": "1"}, "version"),
        ({"name": "a\x1b[2Jb"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 1001}, "name"),
        ({"git": {"commit": "main"}}, "git.commit"),
        ({"git": {"commit": "c" * 40, "dirty": "yes"}}, "git.dirty"),
        ({"git": {"commit": "c" * 40, "folder": "../../etc"}}, "git.folder"),
        ({"git": {"commit": "--output=/etc/passwd"}}, "git.commit"),
        ({"lock": {"sha256": "b" * 64, "path": "/etc/passwd"}}, "lock.path"),
        ({"folder": "/etc"}, "folder"),
        ({"folder": "a/../../b"}, "folder"),
        ({"folder": "a\0b"}, "folder"),
        ({"command": []}, "command"),
        ({"command": "sh"}, "command"),
        ({"command": ["sh", 5]}, "command[1]"),
        ({"command": ["a\0b"]}, "command[0]"),
        ({"command": ["a"] * 5000}, "command"),
        ({"mounts": [{"target": "cache"}]}, "mounts[0].target"),
        ({"mounts": [{"target": "/a"}] * 257}, "mounts"),
        ({"variables": {"A": 5}}, "variables.A"),
        ({"variables": {"A=B": "5"}}, "variables.A=B"),
        ({"variable_names": ["a b"]}, "variable-names[0]"),
        ({"data": [{"name": "a", "digest": "md5:1"}]}, "data[0].digest"),
    ],
)
def test_a_field_that_cannot_be_what_it_is_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_record(text_with(**changes), where="x")
    assert caught.value.problems[0].where.split(".[key]")[0] == field


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"a"', "{}", '{"version": null}', "[" * 40_000,
     '{"version": 1, "version": 1}', b"\xff\xfe{}",
     '{"version": 1, "name": "\\ud800"}', '{"version": ' + "9" * 5000 + "}", "x" * (LARGEST + 1)],
)  # fmt: skip
def test_what_is_no_record_is_refused(text: str | bytes) -> None:
    with pytest.raises(RecordError, match=r"^x: "):
        read_record(text, where="x")


def test_a_secret_in_a_wrong_place_is_not_shown() -> None:
    with pytest.raises(RecordError) as caught:
        read_record(text_with(target="hunter2"), where="x")
    assert "hunter2" not in str(caught.value) + str(caught.value.problems)
