"""JSON from files, servers, programs and images, which may be broken or hostile."""

import json
from collections.abc import Collection
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Return the value that ``text`` holds; bytes are UTF-8, UTF-16 or UTF-32, which Python tells apart.

    :raises ValueError: it is not JSON, is nested too deeply, or has a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        # whoever handles what is not JSON handles this too
        raise ValueError("it is nested too deeply") from error


def parse_unambiguous_json(
    data: str | bytes, *, fields: Collection[str] = (), maps: Collection[str] = ()
) -> Any:
    """Return the value of a document that every program reads the same way.

    Of a key that is there twice some programs take the last value, and programs in Go mix both.  They also
    take a key in any case for the field it spells: one that spells one of ``fields`` otherwise is refused.
    The tables under the keys in ``maps`` have keys of their own, which are no fields.

    :raises ValueError: it is no JSON in UTF-8, is nested too deeply, or programs read its keys differently.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, object_pairs_hook=_table)
        if fields:
            _require_spelling(value, {field.casefold(): field for field in fields}, frozenset(maps))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice")
        found[key] = value
    return found


def _require_spelling(value: Any, fields: dict[str, str], maps: frozenset[str]) -> None:
    if isinstance(value, list):
        for item in value:
            _require_spelling(item, fields, maps)
    elif isinstance(value, dict):
        for key, item in value.items():
            # as Go's encoding/json folds: ASCII, and the two letters beyond it that fold into ASCII
            meant = fields.get(key.casefold())
            if meant is not None and key != meant:
                raise ValueError(f"the key {key!r} is {meant!r} to some programs")
            if key not in maps:
                _require_spelling(item, fields, maps)
