"""The packages of a lock as a tree: what the spec asks for, and what each package requires."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from envbuild.errors import UsageError
from envbuild.lock.graph.model import TABLES, PackageGraph, PackageKey, PackageKind
from envbuild.lock.graph.tree import TreeLine, TreeRoot, reached_from, size_of, tree_lines
from envbuild.workflows.options import names_of
from envbuild.workflows.packages.graphs import (
    chosen_target,
    identifier,
    locked_targets,
    named_packages,
    package_document,
    refuse_kind,
)
from envbuild.workflows.project import Project

__all__ = ["PackageTree", "TreeLine", "TreeOptions", "TreeSection", "package_tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeOptions:
    """Options of a tree.

    :raises UsageError: they contradict each other, or a field has a value that it cannot have.
    """

    packages: frozenset[str] = frozenset()
    """Names the tree begins with; empty: all that the spec asks for.  Any iterable of texts will do."""

    depth: int | None = None
    """Number of levels below the first; None: all."""

    invert: bool = False
    """Show who requires a package, in place of what it requires."""

    kind: PackageKind | None = None
    """Begin with packages of this kind alone."""

    variant: str | None = None
    """None: the default variant."""

    platform: str | None = None
    """None: this machine's."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "packages", names_of("packages", self.packages))
        refuse_kind(self.kind)
        if self.depth is not None and self.depth < 0:
            raise UsageError("the depth of a tree cannot be negative")
        if self.invert and not self.packages:
            raise UsageError(
                "an inverted tree begins with a package", hint="name one: `envbuild tree --invert numpy`"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSection:
    """A part of a tree: what one table of the spec asks for, or packages that somebody named."""

    table: str | None
    """``pip``, ``conda``, ``system`` or ``python``; None: packages that somebody named."""

    lines: tuple[TreeLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageTree:
    """The packages of one target as a tree."""

    graph: PackageGraph
    options: TreeOptions
    roots: tuple[TreeRoot, ...]

    def sections(self, *, sizes: bool = False) -> tuple[TreeSection, ...]:
        """Return the tree, one section for each table of the spec; ``sizes`` works out totals too."""
        tables: tuple[str | None, ...] = (None,) if self.options.packages else TABLES
        sections = []
        for table in tables:
            roots = [one for one in self.roots if (one.requested.table if one.requested else None) == table]
            if roots:
                lines = tree_lines(
                    self.graph, roots, depth=self.options.depth, invert=self.options.invert, sizes=sizes
                )
                sections.append(TreeSection(table=table, lines=tuple(lines)))
        return tuple(sections)

    @property
    def reached(self) -> tuple[PackageKey, ...]:
        """All packages of the tree, each once."""
        keys = [root.package.key for root in self.roots]
        return reached_from(self.graph, keys, invert=self.options.invert, depth=self.options.depth)

    @property
    def size(self) -> int:
        """Bytes of the files of all packages of the tree, those of the base left out."""
        return size_of(self.graph, self.reached)

    def document(self) -> dict[str, object]:
        """Return the tree as plain JSON values: a list of packages that name each other."""
        reached = self.reached
        shown = set(reached)
        return {
            "variant": self.graph.variant,
            "platform": self.graph.platform,
            "base": self.graph.base,
            "size": self.size,
            "roots": [
                {
                    "id": identifier(root.package.key),
                    "table": root.requested.table if root.requested else None,
                    "requirement": root.requested.requirement if root.requested else None,
                }
                for root in self.roots
            ],
            "packages": [
                package_document(self.graph.packages[key])
                | {
                    "requires": [
                        {
                            "id": identifier(edge.target),
                            "requirement": edge.requirement,
                            "extra": edge.extra or None,
                            "provides": edge.via or None,
                        }
                        for edge in self.graph.requires.get(key, ())
                        if edge.target in shown
                    ]
                }
                for key in sorted(reached)
            ],
        }


def package_tree(project: Project, options: TreeOptions | None = None) -> PackageTree:
    """Return the packages of one target of a project's lock as a tree.  The lock alone is read.

    :raises LockError: the lock is missing or cannot be used.
    :raises UsageError: the lock has no such target, or no package of a name.
    """
    options = options or TreeOptions()
    target = chosen_target(locked_targets(project), variant=options.variant, platform=options.platform)
    graph = target.graph()
    roots = _named(graph, options, project) if options.packages else _asked(graph, options)
    return PackageTree(graph=graph, options=options, roots=tuple(roots))


def _asked(graph: PackageGraph, options: TreeOptions) -> Iterator[TreeRoot]:
    seen = set()
    for requested in graph.requested:
        package = graph.packages[requested.target]
        # two requirements of one package, with different markers, are one root
        if options.kind in {None, package.kind} and (requested.table, package.key) not in seen:
            seen.add((requested.table, package.key))
            yield TreeRoot(package=package, requested=requested)


def _named(graph: PackageGraph, options: TreeOptions, project: Project) -> Iterable[TreeRoot]:
    found = [
        package
        for name in sorted(options.packages)
        for _, package in named_packages([graph], name, options.kind, project=project)
    ]
    return [TreeRoot(package=package) for package in dict.fromkeys(found)]
