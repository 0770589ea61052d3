"""A graph as a tree: each package with what it requires, or who requires it, each of them opened once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envbuild.lock.graph.model import (
    LockedPackage,
    PackageGraph,
    PackageKey,
    RequestedPackage,
    RequirementEdge,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLine:
    """One line of a tree."""

    level: int
    """0: a root."""

    is_last: bool
    """Whether it is the last one below the line it belongs to."""

    package: LockedPackage
    edge: RequirementEdge | None = None
    """What leads to it; None: it is a root."""

    requested: RequestedPackage | None = None
    """Where the spec asks for it: of a root; below a package of an inverted tree, in place of a package."""

    is_repeated: bool = False
    """Whether what is below it was shown before."""

    total: int = 0
    """Bytes of its file and of the files of all it requires, those of the base left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRoot:
    """A package a tree begins with."""

    package: LockedPackage
    requested: RequestedPackage | None = None


def tree_lines(
    graph: PackageGraph,
    roots: Sequence[TreeRoot],
    *,
    depth: int | None = None,
    invert: bool = False,
    sizes: bool = False,
) -> Iterator[TreeLine]:
    """Yield the lines of a tree, depth first.

    What a package of the base requires is shown below a root alone: the base is there as a whole.  ``depth``
    is the number of levels below the roots; None: all.  Inverted, below each package are those that require
    it.
    """
    totals = _Totals(graph) if sizes else None
    opened: set[PackageKey] = set()
    waiting = [
        TreeLine(
            level=0,
            is_last=position == len(roots) - 1,
            package=root.package,
            requested=None if invert else root.requested,
        )
        for position, root in enumerate(roots)
    ]
    waiting.reverse()
    while waiting:
        line = waiting.pop()
        below = _below(graph, line, invert=invert)
        is_open = bool(below) and (depth is None or line.level < depth)
        key = line.package.key
        yield _completed(line, is_repeated=is_open and key in opened, totals=totals)
        if is_open and key not in opened:
            opened.add(key)
            waiting.extend(reversed(below))


def _completed(line: TreeLine, *, is_repeated: bool, totals: "_Totals | None") -> TreeLine:
    return TreeLine(
        level=line.level,
        is_last=line.is_last,
        package=line.package,
        edge=line.edge,
        requested=line.requested,
        is_repeated=is_repeated,
        total=totals.of(line.package.key) if totals else 0,
    )


def _below(graph: PackageGraph, line: TreeLine, *, invert: bool) -> list[TreeLine]:
    key = line.package.key
    if invert:
        if line.requested:
            return []
        asked = [one for one in graph.requested if one.target == key]
        edges = _once(graph.required_by.get(key, ()), key, invert=True)
        count = len(asked) + len(edges)
        rows: list[tuple[RequirementEdge | None, RequestedPackage | None]] = [(None, one) for one in asked]
        rows += [(edge, None) for edge in edges]
        return [
            TreeLine(
                level=line.level + 1,
                is_last=position == count - 1,
                package=graph.packages[edge.source] if edge else line.package,
                edge=edge,
                requested=requested,
            )
            for position, (edge, requested) in enumerate(rows)
        ]
    if line.package.part == "base" and line.level:
        return []
    edges = _once(graph.requires.get(key, ()), key, invert=False)
    return [
        TreeLine(
            level=line.level + 1,
            is_last=position == len(edges) - 1,
            package=graph.packages[edge.target],
            edge=edge,
        )
        for position, edge in enumerate(edges)
    ]


def _once(edges: Sequence[RequirementEdge], key: PackageKey, *, invert: bool) -> list[RequirementEdge]:
    """Return one edge for each package at the other end; one that always holds before one of an extra."""
    found: dict[PackageKey, RequirementEdge] = {}
    for edge in sorted(edges, key=lambda one: one.extra):
        end = edge.source if invert else edge.target
        if end != key:
            found.setdefault(end, edge)
    ends = (edge.source if invert else edge.target for edge in edges)
    return [found[end] for end in dict.fromkeys(ends) if end != key]


class _Totals:
    """Sizes of packages with all they require."""

    def __init__(self, graph: PackageGraph) -> None:
        self._graph = graph
        self._known: dict[PackageKey, int] = {}

    def of(self, key: PackageKey) -> int:
        if key not in self._known:
            self._known[key] = size_of(self._graph, reached_from(self._graph, [key]))
        return self._known[key]


def reached_from(
    graph: PackageGraph, keys: Sequence[PackageKey], *, invert: bool = False, depth: int | None = None
) -> tuple[PackageKey, ...]:
    """Return ``keys`` and all they require, or with ``invert`` all that requires them, nearest first.

    What packages of the base require is left out, unless they are among ``keys``.
    """
    found = dict.fromkeys(keys)
    level, steps = list(found), 0
    while level and (depth is None or steps < depth):
        below: dict[PackageKey, None] = {}
        for key in level:
            if not invert and steps and graph.packages[key].part == "base":
                continue
            edges = (graph.required_by if invert else graph.requires).get(key, ())
            below.update(dict.fromkeys(edge.source if invert else edge.target for edge in edges))
        level = [key for key in below if key not in found]
        found.update(dict.fromkeys(level))
        steps += 1
    return tuple(found)


def size_of(graph: PackageGraph, keys: Sequence[PackageKey]) -> int:
    """Return the bytes of the files of packages, those of the base left out."""
    packages = (graph.packages[key] for key in keys)
    return sum(package.size or 0 for package in packages if package.part != "base")
