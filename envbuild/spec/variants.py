"""Variants: the spec as it is for each, and where a value of it was written."""

from collections.abc import Iterator, Mapping
from typing import Any

from envbuild.spec.model import Spec
from envbuild.spec.problems import FieldPath

_CHOICES = (("base",), ("image", "command"))
"""What is one choice, not a collection: a variant's replaces it whole."""


def variant_names(spec: Spec) -> tuple[str, ...]:
    """Return the variants of a spec, sorted: those declared, and the default one if it is not among them."""
    return tuple(sorted({*spec.variants, spec.default_variant}))


def effective(spec: Spec, variant: str) -> Spec:
    """Return the spec as it is for one variant, without variants of its own.

    The variant that is not declared is the spec itself.
    """
    plain = spec.model_dump(by_alias=True, exclude_unset=True)
    overlays = plain.pop("variants", {})
    return Spec.model_validate(_laid_over(plain, overlays.get(variant, {})))


def written_at(spec: Spec, variant: str, *path: str, index: int | None = None) -> FieldPath:
    """Return where the value at ``path`` of :func:`effective` was written.

    ``index`` is that of an item when the value is a list: the first ones are the spec's, the rest the
    variant's.
    """
    plain = spec.model_dump(by_alias=True, exclude_unset=True)
    overlay = plain.pop("variants", {}).get(variant, {})
    mine, base = _at(overlay, path), _at(plain, path)
    if index is None:
        return ("variants", variant, *path) if mine is not None else path
    inherited = len(base) if base is not None and path not in _CHOICES else 0
    if index < inherited:
        return (*path, index)
    return ("variants", variant, *path, index - inherited)


def _laid_over(
    plain: Mapping[str, Any], overlay: Mapping[str, Any], place: tuple[str, ...] = ()
) -> dict[str, Any]:
    merged = dict(plain)
    for key, value in overlay.items():
        here, below = (*place, key), merged.get(key)
        if value is False and not place:
            merged.pop(key, None)
        elif here in _CHOICES:
            merged[key] = value
        elif isinstance(value, dict) and isinstance(below, dict):
            merged[key] = _laid_over(below, value, here)
        elif isinstance(value, tuple) and isinstance(below, tuple):
            merged[key] = below + value
        else:
            merged[key] = value
    return merged


def _at(table: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def each_variant(spec: Spec) -> Iterator[tuple[str, Spec]]:
    """Yield every variant with the spec as it is for it, sorted by name."""
    for variant in variant_names(spec):
        yield variant, effective(spec, variant)
