"""Which requirements really hold in one resolution: markers evaluated, extras followed from the request."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from envbuild.lock.requires_dist import holds, may_hold, parse_requirement


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
        if holds(requirement, environment, ""):
            want(requirement)
    while waiting:
        name, extra = waiting.pop()
        for line in declared.get(name, ()):
            if not may_hold(line, extra):
                continue
            requirement = parse_requirement(line)
            if holds(requirement, environment, extra):
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
