"""Frozen dataclasses to and from JSON values: kebab-case in documents, snake_case in code.

The probe cannot bring pydantic into a container, so this is the small part of it that facts, targets and
reports need.  Unknown keys are ignored: a probe of a later release may say more.
"""

import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class CodecError(ValueError):
    """A JSON document is not of the expected form; the message starts with the field's path."""


def encode(value: object) -> Any:
    """Return ``value`` as plain JSON values; fields of dataclasses keep their order."""
    if is_dataclass(value):
        return {_key(field.name): encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def decode(kind: type[T], value: object, where: str = "") -> T:
    """Return ``value``, a JSON object, as the dataclass ``kind``.

    :raises DocumentError: a field is missing or of another type.
    """
    result: T = _decode(kind, value, where)
    return result


def _decode(kind: Any, value: object, where: str) -> Any:
    origin = get_origin(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        result = _decode_dataclass(kind, value, where)
    elif origin in {Union, types.UnionType}:
        (other,) = (option for option in get_args(kind) if option is not type(None))
        result = None if value is None else _decode(other, value, where)
    elif origin is tuple:
        result = _decode_tuple(get_args(kind), value, where)
    elif origin is dict:
        items: dict[str, object] = _require(value, dict, where)
        result = {key: _decode(get_args(kind)[1], item, f"{where}.{key}") for key, item in items.items()}
    elif origin is Literal:
        if value not in get_args(kind):
            raise CodecError(f"{where}: {value!r} is not one of {', '.join(map(repr, get_args(kind)))}")
        result = value
    else:
        result = _require(value, kind, where)
    return result


def _decode_dataclass(kind: type, value: object, where: str) -> Any:
    values: dict[str, object] = _require(value, dict, where)
    hints = get_type_hints(kind)
    arguments = {}
    for field in fields(kind):
        key = _key(field.name)
        path = f"{where}.{key}" if where else key
        if key in values:
            arguments[field.name] = _decode(hints[field.name], values[key], path)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise CodecError(f"{path}: missing")
    return kind(**arguments)


def _decode_tuple(items: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    values: list[object] = _require(value, list, where)
    if len(items) == 2 and items[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        return tuple(_decode(items[0], item, f"{where}[{number}]") for number, item in enumerate(values))
    if len(items) != len(values):
        raise CodecError(f"{where}: {len(values)} items instead of {len(items)}")
    return tuple(
        _decode(item, content, f"{where}[{number}]")
        for number, (item, content) in enumerate(zip(items, values, strict=True))
    )


def _require(value: object, kind: Any, where: str) -> Any:
    # True is an int to Python, not to JSON
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise CodecError(f"{where or 'document'}: {type(value).__name__} instead of {kind.__name__}")
    return value


def _key(name: str) -> str:
    return name.replace("_", "-")
