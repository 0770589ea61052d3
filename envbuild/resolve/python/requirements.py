"""Which requirements really hold in one resolution: markers evaluated, extras followed from the request."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

_EXTRA_TEST = re.compile(r"""\bextra\s*==\s*["']([^"']*)["']""")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """How one distribution takes part in a resolution."""

    extras: frozenset[str]
    """Normalised names of the extras someone asked for."""

    requires: tuple[str, ...]
    """Its ``Requires-Dist`` lines that hold, markers kept, in one spelling, sorted, each once."""

    requires_names: tuple[NormalizedName, ...]
    """Whom those lines name, sorted, each once."""


def activate(
    asked: Iterable[str], declared: Mapping[NormalizedName, Iterable[str]], environment: Mapping[str, str]
) -> dict[NormalizedName, Activated]:
    """Return what is reached from ``asked``, by name.

    ``declared`` holds the ``Requires-Dist`` lines of every resolved distribution; a name that is required and
    not in it is in the result without requirements, so the caller sees what a resolver left out.
    """
    extras: dict[NormalizedName, set[str]] = {}
    held: dict[NormalizedName, dict[str, NormalizedName]] = {}
    waiting: list[tuple[NormalizedName, str]] = []

    def want(requirement: Requirement) -> None:
        name = canonicalize_name(requirement.name)
        known = extras.setdefault(name, set())
        first_time = name not in held
        held.setdefault(name, {})
        # the empty extra stands for the distribution by itself
        wanted = {canonicalize_name(extra) for extra in requirement.extras} - known
        known.update(wanted)
        waiting.extend((name, extra) for extra in sorted(wanted))
        if first_time:
            waiting.append((name, ""))

    for text in asked:
        requirement = parse_requirement(text)
        if _holds(requirement, environment, ""):
            want(requirement)
    while waiting:
        name, extra = waiting.pop()
        for line in declared.get(name, ()):
            if not _may_hold(line, extra):
                continue
            requirement = parse_requirement(line)
            if _holds(requirement, environment, extra):
                held[name][str(requirement)] = canonicalize_name(requirement.name)
                want(requirement)
    return {
        name: Activated(
            extras=frozenset(extras[name]),
            requires=tuple(sorted(lines)),
            requires_names=tuple(sorted(set(lines.values()))),
        )
        for name, lines in held.items()
    }


def left_out(
    activated: Mapping[NormalizedName, Activated], resolved: Iterable[NormalizedName]
) -> Iterator[tuple[NormalizedName, NormalizedName | None]]:
    """Yield what is required and not ``resolved``, with one of those who require it (None: the request)."""
    missing = set(activated) - set(resolved)
    for name in sorted(missing):
        yield (
            name,
            next((by for by, entry in sorted(activated.items()) if name in entry.requires_names), None),
        )


@lru_cache(maxsize=16384)
def parse_requirement(line: str) -> Requirement:
    """Return a requirement; of a line that is none by today's rules, its name alone.

    Old releases state things like ``foo (>=1.0.*)``; resolvers repair them; here only name and marker
    count.

    :raises InvalidRequirement: not even a name can be made out.
    """
    try:
        return Requirement(line)
    except InvalidRequirement:
        name = _NAME.match(line)
        if name is None:
            raise
        _, separator, marker = line.partition(";")
        return Requirement(f"{name[0]}{separator}{marker}")


def extras_of(lines: Iterable[str]) -> set[NormalizedName]:
    """Return the extras that ``Requires-Dist`` lines speak of."""
    return {canonicalize_name(name) for line in lines for name in _EXTRA_TEST.findall(line) if name}


def _may_hold(line: str, extra: str) -> bool:
    """Return False for lines that only hold under another extra: parsing them would take most of the time."""
    if "extra" not in line:
        return not extra
    tested = _EXTRA_TEST.findall(line)
    if not tested or " or " in line:
        return True
    return canonicalize_name(extra) in {canonicalize_name(name) for name in tested}


def _holds(requirement: Requirement, environment: Mapping[str, str], extra: str) -> bool:
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate({**environment, "extra": extra})
    except (UndefinedComparison, UndefinedEnvironmentName):
        # such a marker can be true nowhere; resolvers ignore the line as well
        return False
