"""JSON that may be hostile."""

import pytest

from envbuild.formats.json_text import parse_json


def test_text_and_bytes_are_read() -> None:
    assert parse_json('{"a": [1]}') == parse_json(b'{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"a":' * 100_000, "1" * 5000, b"\xff{}", "[" * 200_000 + "]" * 200_000],
    ids=["empty", "open", "lists", "tables", "digits", "bytes", "closed"],
)  # fmt: skip
def test_what_cannot_be_read_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(text)
