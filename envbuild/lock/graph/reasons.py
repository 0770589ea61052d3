"""Why a package is in a lock: chains of requirements that lead to it, and what keeps newer versions out."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from envbuild.lock.graph.model import (
    TABLES,
    LockedPackage,
    PackageGraph,
    PackageKey,
    RequestedPackage,
    RequirementEdge,
)

_State = tuple[PackageKey, str]
"""A package, and one extra of it that was asked for; empty: the package by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementChain:
    """How one thing the spec asks for leads to a package."""

    requested: RequestedPackage
    steps: tuple[RequirementEdge, ...]
    """Empty: the package is what is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionBound:
    """A condition that newer versions of a package may not meet, and who states it."""

    by: str
    """Name and version of a package, or a table of the spec."""

    requirement: str
    bound: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReasons:
    """All reasons for one package."""

    package: LockedPackage
    chains: tuple[RequirementChain, ...]
    """Shortest first: for each thing asked for, and each package that requires this one directly, the
    shortest there is."""

    bounds: tuple[VersionBound, ...]

    required_in_base: int = 0
    """Number of packages of the base that require it directly."""

    gpu_libraries: tuple[str, ...] = ()
    """Libraries of the GPU's vendor that it brings."""

    built_with: tuple[LockedPackage, ...] = ()
    """What it was built from source with; empty: it was not."""


def reasons_for(graph: PackageGraph, package: LockedPackage) -> PackageReasons:
    """Return why ``package`` is in the target of ``graph``."""
    chains = sorted(
        (chain for requested in graph.requested for chain in _chains(graph, requested, package.key)),
        key=_order,
    )
    libraries = graph.gpu_providers.get(f"{package.kind} {package.name}", ())
    builds = graph.builds.get(package.name, ()) if package.kind == "wheel" else ()
    edges = graph.required_by.get(package.key, ())
    return PackageReasons(
        package=package,
        chains=tuple(chains),
        bounds=tuple(dict.fromkeys(_bounds(graph, package.key))),
        required_in_base=len({edge.source for edge in edges if graph.packages[edge.source].part == "base"}),
        gpu_libraries=libraries,
        built_with=tuple(graph.packages[key] for key in builds) if package.part == "environment" else (),
    )


def _order(chain: RequirementChain) -> tuple[object, ...]:
    requested = chain.requested
    return (
        len(chain.steps),
        TABLES.index(requested.table),
        requested.requirement,
        [(edge.source, edge.requirement) for edge in chain.steps],
    )


def _chains(
    graph: PackageGraph, requested: RequestedPackage, target: PackageKey
) -> Iterator[RequirementChain]:
    if requested.target == target:
        yield RequirementChain(requested=requested, steps=())
        return
    paths = _paths(graph, requested, target)
    for edge in graph.required_by.get(target, ()):
        state = (edge.source, edge.extra)
        if edge.source != target and state in paths:
            yield RequirementChain(requested=requested, steps=(*_steps(paths, state), edge))


def _paths(
    graph: PackageGraph, requested: RequestedPackage, target: PackageKey
) -> dict[_State, tuple[_State, RequirementEdge] | None]:
    """Return how all is reached that does not lie behind ``target``: the state before, and the edge."""
    paths: dict[_State, tuple[_State, RequirementEdge] | None] = {
        (requested.target, extra): None for extra in ("", *requested.extras)
    }
    waiting = deque(paths)
    while waiting:
        state = waiting.popleft()
        key, extra = state
        for edge in graph.requires.get(key, ()):
            if edge.extra != extra or edge.target == target:
                continue
            for wanted in ("", *edge.extras):
                if (edge.target, wanted) not in paths:
                    paths[edge.target, wanted] = (state, edge)
                    waiting.append((edge.target, wanted))
    return paths


def _steps(
    paths: dict[_State, tuple[_State, RequirementEdge] | None], state: _State
) -> tuple[RequirementEdge, ...]:
    steps = []
    while before := paths[state]:
        state, edge = before
        steps.append(edge)
    return tuple(reversed(steps))


def _bounds(graph: PackageGraph, key: PackageKey) -> Iterator[VersionBound]:
    for requested in graph.requested:
        if requested.target == key and requested.bound:
            yield VersionBound(
                by=f"[{requested.table}]", requirement=requested.requirement, bound=requested.bound
            )
    for constraint in graph.constraints:
        if constraint.target == key:
            yield VersionBound(by=constraint.by, requirement=constraint.requirement, bound=constraint.bound)
    for edge in graph.required_by.get(key, ()):
        if edge.bound and edge.source != key:
            yield VersionBound(
                by=graph.packages[edge.source].label, requirement=edge.requirement, bound=edge.bound
            )
