"""Whether a lock still answers its spec: the request of one compared with that of the other, field by field.

Every field of a request counts, down to the repository and the default variant: the lock is what later
commands read, so a fresh one is one that locking again would not change.  What is not part of a request never
makes a lock stale: comments, order, line ends, which file a requirement stands in, and [build].
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envbuild.errors import LockStaleError, Problem
from envbuild.spec.request import Request, VariantRequest

_SPEC_NAMES = {"repository": "image.repository", "seed": "determinism.seed"}
"""Fields of a request that are called otherwise where the user wrote them."""

_ORDERED = frozenset({"conda.channels", "image.command"})
"""Lists whose order is part of their meaning."""

_ABSENT = "unset"


def stale_lock(
    lock: str, spec: str, problems: Iterable[Problem], *, hint: str = "run `envbuild lock`"
) -> LockStaleError:
    """Return the error of a lock that is out of date; ``hint`` says what to type."""
    return LockStaleError(f"{lock} is out of date with {spec}", hint=hint, problems=problems)


def stale_fields(asked: Request, locked: Request) -> tuple[Problem, ...]:
    """Return what ``asked`` says otherwise than ``locked``, by its name in the spec; empty when fresh.

    A difference that is the same in all of several variants is named once, without a variant.
    """
    found = [
        *_differences(_plain(asked, exclude={"variants"}), _plain(locked, exclude={"variants"})),
        *_set_difference("variants", asked.variants, locked.variants),
    ]
    differences = {
        variant: tuple(_differences(_plain(asked.variants[variant]), _plain(locked.variants[variant])))
        for variant in sorted(asked.variants)
        if variant in locked.variants
    }
    everywhere = _shared(tuple(differences.values())) if len(differences) == len(asked.variants) else ()
    found.extend(everywhere)
    found.extend(
        Problem(f"variants.{variant}.{problem.where}", problem.message)
        for variant, problems in differences.items()
        for problem in problems
        if problem not in everywhere
    )
    return tuple(found)


def _shared(differences: tuple[tuple[Problem, ...], ...]) -> tuple[Problem, ...]:
    first, *others = differences
    return tuple(problem for problem in first if all(problem in other for other in others))


def _plain(value: Request | VariantRequest, *, exclude: set[str] | None = None) -> dict[str, Any]:
    return value.model_dump(mode="json", by_alias=True, exclude=exclude)


def _differences(asked: Mapping[str, Any], locked: Mapping[str, Any], above: str = "") -> Iterator[Problem]:
    keys = [*asked, *(key for key in sorted(locked) if key not in asked)]
    for key in keys:
        path = f"{above}.{key}" if above else _SPEC_NAMES.get(key, key)
        new, old = asked.get(key), locked.get(key)
        if new == old:
            continue
        if isinstance(new, dict) and isinstance(old, dict):
            yield from _differences(new, old, path)
        elif isinstance(new, list) and isinstance(old, list) and path not in _ORDERED:
            yield from _set_difference(path, new, old)
        else:
            yield Problem(path, f"{_shown(old)} → {_shown(new)}")


def _set_difference(path: str, asked: Any, locked: Any) -> Iterator[Problem]:
    added = [f"+ {item}" for item in sorted(set(asked) - set(locked))]
    removed = [f"- {item}" for item in sorted(set(locked) - set(asked))]
    if added or removed:
        yield Problem(path, ", ".join([*added, *removed]))


def _shown(value: Any) -> str:
    match value:
        case None:
            return _ABSENT
        case bool():
            return str(value).lower()
        case dict():
            given = {key: item for key, item in value.items() if item not in (None, [], {})}
            return ", ".join(f"{key} = {_shown(item)}" for key, item in sorted(given.items())) or "set"
        case list():
            return shlex.join(map(str, value))
        case str() if not value.strip():
            return f'"{value}"'
        case _:
            return str(value)
