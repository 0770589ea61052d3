"""JSON that may be hostile."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from envbuild.formats.json_text import parse_json, parse_unambiguous_json


def test_text_and_bytes_are_read() -> None:
    assert parse_json('{"a": [1]}') == parse_json(b'{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize("parse", [parse_json, parse_unambiguous_json])
@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"a":' * 100_000, "1" * 5000, b"\xff{}", "[" * 200_000 + "]" * 200_000],
    ids=["empty", "open", "lists", "tables", "digits", "bytes", "closed"],
)  # fmt: skip
def test_what_cannot_be_read_is_a_value_error(parse: Callable[[str | bytes], Any], text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


@pytest.mark.parametrize(
    "value",
    [{}, [], {"a": {"a": {"a": 1}}}, [{"a": 1}, {"a": 1}], {"a": 1, "A": 2, "": 3}, "a", 1.5, None, True],
    ids=repr,
)
def test_a_document_with_one_meaning_is_read(value: Any) -> None:
    """The same key may be in several tables; keys that differ in case are two."""
    assert parse_unambiguous_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"a": 1, "a": 2}', "a"),
        ('{"a": 1, "a": 1}', "a"),
        ('{"a": 1, "b": 2, "a": null}', "a"),
        ('{"x": {"config": {}, "config": {}}}', "config"),
        ('[[{"b": [], "b": []}]]', "b"),
        ('{"": 1, "": 2}', ""),
        # the same key, written otherwise
        (r'{"layers": 1, "\u006cayers": 2}', "layers"),
    ],
)
def test_a_key_that_is_there_twice_is_a_value_error(text: str, key: str) -> None:
    """Of two values some programs take the last, and programs in Go mix both."""
    with pytest.raises(ValueError, match=rf"^the key '{key}' is there twice$"):
        parse_unambiguous_json(text.encode())
    assert parse_json(text)


FIELDS = ("config", "os", "layers", "Labels", "Env")


@pytest.mark.parametrize(
    "text",
    ['{"Config": 1}', '{"config": 1, "CONFIG": ""}', '{"a": [{"o\\u017f": 1}]}', '{"config": {"env": []}}'],
)
def test_a_field_in_other_letters_is_a_value_error(text: str) -> None:
    """Go's encoding/json takes it for the field, and of two the last."""
    with pytest.raises(ValueError, match="to some programs"):
        parse_unambiguous_json(text.encode(), fields=FIELDS, maps=("Labels",))


def test_keys_of_maps_are_no_fields() -> None:
    text = b'{"Labels": {"env": "a", "OS": "b"}, "other": {"x": 1}}'
    assert parse_unambiguous_json(text, fields=FIELDS, maps=("Labels",)) == json.loads(text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "latin-1"])
def test_only_utf_8_is_read(encoding: str) -> None:
    with pytest.raises(ValueError):
        parse_unambiguous_json('{"a": "é"}'.encode(encoding))
