"""Raw TOML tables to typed ones, and everything wrong with them in plain words."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from envbuild.errors import Problem
from envbuild.spec.model import Spec
from envbuild.spec.problems import (
    FieldPath,
    RefusedError,
    alternatives,
    as_written,
    field_path,
    kind_of,
    near,
)
from envbuild.spec.tables.table import SpecTable

_EXPECTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}
_STAND_IN = {"name": "unnamed", "python": "3.11"}
"""Stands for a required key that is missing or wrong, so that the rest can still be checked."""


@dataclass(frozen=True, slots=True)
class Validated:
    """A spec, as far as it could be read, and what is wrong with it."""

    spec: Spec
    """Without the wrong values when there are problems: good for finding further ones, for nothing else."""

    problems: tuple[Problem, ...] = ()
    wrong: frozenset[FieldPath] = frozenset()
    """Places the problems are at."""

    def trusts(self, *path: str) -> bool:
        """Whether nothing at or below ``path``, in the spec or in a variant of it, was wrong."""
        return not any(place[: len(path)] == path or place[2 : 2 + len(path)] == path for place in self.wrong)


def validate(table: Mapping[str, Any], *, prefix: str = "") -> Validated:
    """Check a spec's table.  ``prefix`` goes before each field path, as in ``tool.envbuild.``."""
    raw = _with_tuples(table)
    try:
        return Validated(Spec.model_validate(raw))
    except ValidationError as error:
        details = _innermost(error.errors(include_url=False))
    problems = tuple(_problem(detail, prefix) for detail in details)
    wrong = frozenset(_place(detail) for detail in details)
    return Validated(_remainder(raw, wrong), problems, wrong)


def _with_tuples(value: Any) -> Any:
    match value:
        case dict():
            return {key: _with_tuples(item) for key, item in value.items()}
        case list():
            return tuple(_with_tuples(item) for item in value)
        case _:
            return value


def _innermost(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out what only follows from another error: a list is not too short when its items are wrong."""
    places = {detail["loc"] for detail in details}
    return [
        detail
        for detail in details
        if not any(
            len(place) > len(detail["loc"]) and place[: len(detail["loc"])] == detail["loc"]
            for place in places
        )
    ]


def _place(detail: ErrorDetails) -> FieldPath:
    """Return where an error is; a wrong key of a free table is at that key."""
    return tuple(part for part in detail["loc"] if part != "[key]")


def _problem(detail: ErrorDetails, prefix: str) -> Problem:
    place = _place(detail)
    message, hint = _words(detail, place)
    return Problem(prefix + field_path(place), message, hint)


def _words(detail: ErrorDetails, place: FieldPath) -> tuple[str, str | None]:
    """Return message and hint."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    match kind:
        case "value_error" if isinstance(refused := context.get("error"), RefusedError):
            words = refused.message, refused.hint
        case "missing":
            words = "is missing", _missing_hint(place)
        case "extra_forbidden":
            words = "unknown key", _unknown_hint(place)
        case "literal_error":
            options = re.findall(r"'([^']*)'", context["expected"])
            words = (
                f"must be {alternatives(options)}",
                near(value, options) if isinstance(value, str) else None,
            )
        case "too_short":
            words = "must not be empty", None
        case "greater_than_equal" | "less_than_equal":
            words = "must lie between 0 and 4294967295", None
        case _:
            expected = _EXPECTED.get(kind, "something else")
            words = f"must be {expected}, not {kind_of(value)}", _type_hint(kind, value, place)
    return words


def _type_hint(kind: str, value: Any, place: FieldPath) -> str | None:
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        quoted = f'"{as_written(value)}"'
        key = next(part for part in reversed(place) if isinstance(part, str))
        return f"quote it: {quoted if isinstance(place[-1], int) else f'{key} = {quoted}'}"
    if kind == "tuple_type" and isinstance(value, str):
        return f'write `["{value}"]`'
    if kind in {"model_type", "dict_type"}:
        if value is False and len(place) == 1:
            return "leave the table out; only a variant can switch one off"
        return f"write `[{field_path(place)}]` and its keys below"
    return None


def _missing_hint(place: FieldPath) -> str | None:
    examples = {"name": 'name = "train"', "python": 'python = "3.11"'}
    example = examples.get(field_path(place))
    return f"add `{example}` at the top" if example else None


def _unknown_hint(place: FieldPath) -> str | None:
    """Say which key was meant, or where the key belongs."""
    key, table = str(place[-1]), _table_at(place[:-1])
    known = _keys(table)
    if close := near(key, known):
        return close
    if key in {"repository", "build", "platforms", "name"} and place[0] == "variants":
        return f"`{key}` is the same for all variants; set it outside them"
    if homes := _homes(key):
        return f"it belongs in {' or '.join(f'[{home}]' for home in homes)}"
    return f"known here: {', '.join(sorted(known))}"


def _keys(table: type[SpecTable]) -> dict[str, type[SpecTable] | None]:
    """Return the keys of a table, and for each that is itself a table of fixed keys, which."""
    return {field.alias or name: _table_in(field.annotation) for name, field in table.model_fields.items()}


def _table_in(annotation: Any) -> type[SpecTable] | None:
    if inspect.isclass(annotation) and issubclass(annotation, SpecTable):
        return annotation
    return next(filter(None, map(_table_in, get_args(annotation))), None)


def _table_at(place: FieldPath) -> type[SpecTable]:
    table: type[SpecTable] = Spec
    for part in place:
        table = _keys(table).get(str(part)) or table  # the name of a variant is not a table of its own
    return table


def _homes(key: str) -> list[str]:
    return [
        name for name, table in _keys(Spec).items() if table and name != "variants" and key in _keys(table)
    ]


def _remainder(raw: dict[str, Any], wrong: frozenset[FieldPath]) -> Spec:
    """Return the spec that is left when everything wrong is taken out.

    That can uncover the rule of a whole table, so it goes on until nothing is wrong.
    """
    left = {**_STAND_IN, **_without(raw, wrong)}
    try:
        return Spec.model_validate(left)
    except ValidationError as error:
        return _remainder(left, frozenset(_place(detail) for detail in error.errors(include_url=False)))


def _without(table: dict[str, Any], places: frozenset[FieldPath]) -> dict[str, Any]:
    """Return ``table`` without what is at ``places``; a list goes whole, so that no index shifts."""
    kept = {}
    for key, value in table.items():
        below = frozenset(place[1:] for place in places if place[0] == key)
        if isinstance(value, dict) and () not in below:
            kept[key] = _without(value, below)
        elif not below:
            kept[key] = value
    return kept
