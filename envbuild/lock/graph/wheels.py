"""What wheels require of each other on one target: markers evaluated, extras passed along."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envbuild.lock.graph.model import PackageKey, RequestedPackage, RequirementEdge, normalized
from envbuild.lock.requires_dist import holds, may_hold, parse_requirement

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_UPPER = ("<", "<=", "==", "===", "~=")
"""Operators of conditions that some newer version does not meet (PEP 440)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSet:
    """The distributions of a target: wheels by name, and what conda packages bring."""

    requires: Mapping[str, tuple[str, ...]]
    """``Requires-Dist`` lines of each wheel by its normalised name."""

    keys: Mapping[str, PackageKey]
    """Key of each wheel."""

    provided: Mapping[str, tuple[PackageKey, str]]
    """Name of a distribution → conda package that brings it, and ``name==version``."""

    environment: Mapping[str, str]
    """Values of markers."""

    def end(self, name: str) -> tuple[PackageKey, str] | None:
        """Return what answers a requirement of ``name``, and what it is called there; None: nothing."""
        if name in self.keys:
            return self.keys[name], ""
        return self.provided.get(name)


def wheel_edges(
    asked: Iterable[str], wheels: WheelSet
) -> tuple[tuple[RequestedPackage, ...], tuple[RequirementEdge, ...]]:
    """Return what the spec asks of pip, and what that leads to.

    A requirement counts where its marker holds, under the extras that somebody asked for.  What conda
    packages bring is there, but what it requires in turn is conda's affair.
    """
    requested: list[RequestedPackage] = []
    edges: list[RequirementEdge] = []
    seen: set[tuple[str, str]] = set()
    waiting: list[tuple[str, str]] = []

    def want(requirement: "Requirement") -> tuple[PackageKey, str] | None:
        name = normalized(requirement.name)
        found = wheels.end(name)
        if found and name in wheels.keys:
            extras = {"", *map(normalized, requirement.extras)}
            new = sorted({(name, extra) for extra in extras} - seen)
            seen.update(new)
            waiting.extend(new)
        return found

    for text in asked:
        requirement = parse_requirement(text)
        if holds(requirement, wheels.environment, "") and (found := want(requirement)):
            target, via = found
            requested.append(
                RequestedPackage(
                    table="pip",
                    requirement=text,
                    target=target,
                    extras=_extras(requirement),
                    via=via,
                    bound=upper_bound(requirement),
                )
            )
    while waiting:
        name, extra = waiting.pop()
        for line in wheels.requires[name]:
            if not may_hold(line, extra):
                continue
            requirement = parse_requirement(line)
            if not holds(requirement, wheels.environment, extra) or not (found := want(requirement)):
                continue
            if extra and holds(requirement, wheels.environment, ""):
                # it holds without the extra too
                continue
            target, via = found
            edges.append(
                RequirementEdge(
                    source=wheels.keys[name],
                    target=target,
                    requirement=without_marker(requirement),
                    extra=extra,
                    extras=_extras(requirement),
                    via=via,
                    bound=upper_bound(requirement),
                )
            )
    return tuple(requested), tuple(edges)


def _extras(requirement: "Requirement") -> tuple[str, ...]:
    return tuple(sorted(map(normalized, requirement.extras)))


def upper_bound(requirement: "Requirement") -> str:
    """Return the conditions that a newer version may not meet, sorted; empty: there are none."""
    if requirement.url:
        return f"@ {requirement.url}"
    return ",".join(sorted(str(one) for one in requirement.specifier if one.operator in _UPPER))


def without_marker(requirement: "Requirement") -> str:
    """Return a requirement as it is written, its marker left out."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    place = f" @ {requirement.url}" if requirement.url else str(requirement.specifier)
    return f"{requirement.name}{extras}{place}"


def build_edges(
    wheels: Mapping[str, tuple[PackageKey, tuple[str, ...]]], environment: Mapping[str, str]
) -> Iterator[RequirementEdge]:
    """Yield what wheels that a source is built with require of each other; ``wheels`` are by name."""
    for source, lines in wheels.values():
        for line in lines:
            requirement = parse_requirement(line)
            target, _ = wheels.get(normalized(requirement.name), (source, ()))
            if target != source and holds(requirement, environment, ""):
                yield RequirementEdge(
                    source=source,
                    target=target,
                    requirement=without_marker(requirement),
                    bound=upper_bound(requirement),
                )
