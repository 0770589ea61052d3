"""Notes: what is damaged is as good as absent."""

import gzip
import itertools
import json
import os
from pathlib import Path

import pytest

from envbuild.cache import notes
from envbuild.cache.notes import read_note, try_note, write_note

DOCUMENT = {"name": "é", "sizes": [1, 2]}


@pytest.mark.parametrize("name", ["note", "note.json", "deep/note.json.gz"])
def test_a_note_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    write_note(tmp_path / name, DOCUMENT)

    assert read_note(tmp_path / name, dict) == DOCUMENT


def test_the_same_note_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.gz", "two.gz"):
        write_note(tmp_path / name, DOCUMENT)

    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_a_note_of_an_earlier_release_is_plain_json(tmp_path: Path) -> None:
    (tmp_path / "note").write_text(json.dumps(DOCUMENT))

    assert read_note(tmp_path / "note", dict) == DOCUMENT


@pytest.mark.parametrize("name", ["note", "note.gz"])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-1], id="cut"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda data: data.replace(b"[1,2]", b"[1,3]"), id="another value"),
        pytest.param(lambda data: b"0" + data[1:], id="another digest"),
        pytest.param(lambda data: b"x" + data[1:], id="no digest"),
        pytest.param(lambda _: b"[1]", id="another kind"),
        pytest.param(lambda _: b"{}", id="a key is missing"),
        pytest.param(lambda _: b"\xff", id="no text"),
        pytest.param(lambda _: b"[" * 100_000, id="too deep"),
    ],
)
def test_a_damaged_note_is_as_good_as_none(tmp_path: Path, name: str, damage) -> None:
    path = tmp_path / name
    write_note(path, DOCUMENT)
    data = path.read_bytes()
    changed = damage(gzip.decompress(data) if path.suffix == ".gz" else data)
    assert changed != data
    path.write_bytes(gzip.compress(changed) if path.suffix == ".gz" else changed)

    assert read_note(path, lambda document: [document["name"], document["sizes"]]) is None


@pytest.mark.parametrize("name", ["note", "note.gz"])
def test_any_damage_is_seen(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_note(path, DOCUMENT)
    whole = path.read_bytes()

    for place, bit in itertools.product(range(len(whole)), range(8)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        # the header of gzip holds bits that mean nothing
        assert read_note(path, dict, is_use=False) in (None, DOCUMENT)


@pytest.mark.parametrize("error", [IndexError, KeyError, OverflowError, RecursionError])
def test_what_its_reader_cannot_read_is_as_good_as_none(tmp_path: Path, error: type[Exception]) -> None:
    write_note(tmp_path / "note", DOCUMENT)

    def read(_: object) -> None:
        raise error

    assert read_note(tmp_path / "note", read) is None


def test_what_is_not_compressed_is_no_compressed_note(tmp_path: Path) -> None:
    (tmp_path / "note.gz").write_text(json.dumps(DOCUMENT))

    assert read_note(tmp_path / "note.gz", dict) is None


def test_a_missing_note_is_none(tmp_path: Path) -> None:
    assert read_note(tmp_path / "none", dict) is None
    assert read_note(tmp_path, dict) is None


@pytest.mark.parametrize("name", ["note", "note.gz"])
def test_no_more_is_read_than_a_note_may_have(tmp_path: Path, name: str, monkeypatch) -> None:
    write_note(tmp_path / name, "x" * 1000)
    monkeypatch.setattr(notes, "LARGEST", 1067)
    assert read_note(tmp_path / name, str) == "x" * 1000
    monkeypatch.setattr(notes, "LARGEST", 1066)
    assert read_note(tmp_path / name, str) is None


def test_reading_is_use_unless_it_is_not(tmp_path: Path) -> None:
    write_note(tmp_path / "note", DOCUMENT)
    os.utime(tmp_path / "note", (1, 1))

    read_note(tmp_path / "note", dict, is_use=False)
    assert (tmp_path / "note").stat().st_mtime == 1
    read_note(tmp_path / "note", dict)
    assert (tmp_path / "note").stat().st_mtime > 1


def test_a_note_that_cannot_be_written_is_no_error_where_none_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    try_note(tmp_path / "file" / "note", DOCUMENT)
    with pytest.raises(OSError, match="exists"):
        write_note(tmp_path / "file" / "note", DOCUMENT)
