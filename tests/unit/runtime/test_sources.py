"""The record and the image's lock may be absent, broken, or made to hurt."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from envbuild_runtime import sources

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.lock.identity import tag_of
from envbuild.lock.tracker_variables import TAG_DIGITS

Lay = Callable[[bytes], Path]


def test_without_a_variable_there_is_no_record_and_no_warning(warned: list[str]) -> None:
    assert sources.record() is None
    assert warned == []


def test_the_record_is_what_the_variable_holds(recorded: dict[str, Any]) -> None:
    assert sources.record() == recorded


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "no JSON object"),
        ("17", "no JSON object"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": ' * 13 + "1" + "}" * 13, "nested too deeply"),
        ("[" * 60_000, "nested too deeply"),
        ('{"a": "\\ud800"}', "UnicodeEncodeError"),
        ('{"a": "' + "x" * 10_000_000 + '"}', "characters, at most"),
    ],
    ids=["half", "list", "number", "nan", "deep", "deeper than the parser goes", "surrogate", "10 MB"],
)
def test_no_valid_record_is_left_out_with_one_warning(
    text: str, reason: str, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.setattr(os, "environ", {"ENVBUILD_RUN": text})

    assert sources.record() is None
    assert sources.record() is None
    (warning,) = warned
    assert reason in warning


def test_bytes_that_are_no_utf8_are_no_record(monkeypatch: pytest.MonkeyPatch, warned: list[str]) -> None:
    monkeypatch.setattr(os, "environ", {"ENVBUILD_RUN": os.fsdecode(b'{"a": "\xff"}')})

    assert sources.record() is None
    assert len(warned) == 1


def test_as_deep_as_allowed_is_a_record() -> None:
    text = '{"a": ' * 12 + "1" + "}" * 12

    assert sources.parse_record(text)["a"]


def test_no_password_of_an_address_is_kept() -> None:
    text = (
        '{"git": {"remote": "https://me:hunter2@host/x"}, "command": ["a", "--at=http://token@host"], "n": 1}'
    )

    assert sources.parse_record(text) == {
        "git": {"remote": "https://***@host/x"},
        "command": ["a", "--at=http://***@host"],
        "n": 1,
    }


def test_the_digest_of_the_lock_is_envbuilds_own(locked: dict[str, Any]) -> None:
    found = sources.target_lock()

    assert found is not None
    assert found.digest == "sha256:" + sha256_bytes(canonical_json(locked))
    assert found.tag == tag_of(found.digest)
    assert sources.TAG_DIGITS == TAG_DIGITS


def test_the_lock_is_kept_as_it_is_and_read_once(lay_lock: Lay) -> None:
    path = lay_lock(b' {"name":  "train"} ')
    found = sources.target_lock()
    path.write_bytes(b"{}")

    assert found is not None
    assert found.content == b' {"name":  "train"} '
    assert sources.target_lock() is found


def test_no_lock_is_no_reason_for_a_warning(warned: list[str]) -> None:
    assert sources.target_lock() is None
    assert warned == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 200_000, b'{"a": Infinity}'])
def test_a_broken_lock_is_left_out_with_one_warning(content: bytes, lay_lock: Lay, warned: list[str]) -> None:
    lay_lock(content)

    assert sources.target_lock() is None
    assert len(warned) == 1


def test_a_huge_lock_is_not_read(lay_lock: Lay, warned: list[str]) -> None:
    path = lay_lock(b"{}")
    os.truncate(path, sources.LARGEST_LOCK + 1)

    assert sources.target_lock() is None
    assert "usable size" in warned[0]


def test_a_pipe_in_the_place_of_the_lock_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(sources, "LOCK_FILE", str(tmp_path / "pipe"))

    assert sources.target_lock() is None
    assert "usable size" in warned[0]


def test_a_process_is_envbuilds_by_variable_or_file(lay_lock: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not sources.in_image()
    monkeypatch.setenv("ENVBUILD_RUN", "{}")
    assert sources.in_image()
    monkeypatch.delenv("ENVBUILD_RUN")
    lay_lock(json.dumps({}).encode())
    assert sources.in_image()


def lock_in(folder: Path, content: bytes = b"version = 1\n") -> dict[str, Any]:
    (folder / "envbuild.lock").write_bytes(content)
    return {"lock": {"sha256": sha256_bytes(content)}}


def test_the_whole_lock_is_found_from_a_subfolder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = lock_in(tmp_path)
    folder = tmp_path / "src" / "deep"
    folder.mkdir(parents=True)
    # of another environment
    (folder / "envbuild.lock").write_bytes(b"version = 2\n")
    monkeypatch.chdir(folder)
    assert sources.whole_lock(record) == b"version = 1\n"


@pytest.mark.parametrize(
    "record", [None, {}, {"lock": "x"}, {"lock": {}}, {"lock": {"sha256": "0" * 64}}, {"lock": {"sha256": 1}}]
)
def test_a_lock_that_no_record_names_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Any
) -> None:
    lock_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert sources.whole_lock(record) is None


def test_a_lock_that_is_no_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "envbuild.lock")
    monkeypatch.chdir(tmp_path)
    assert sources.whole_lock({"lock": {"sha256": sha256_bytes(b"")}}) is None
