"""The packages of one target as a graph: what is asked for, what each package requires, and who requires it.

Plain values without pydantic: the commands that show a graph answer faster than its import takes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

PackageKind = Literal["wheel", "conda", "deb"]
KINDS: Final[tuple[PackageKind, ...]] = ("wheel", "conda", "deb")
"""In the order a reader wants them."""

PackagePart = Literal["environment", "base", "tool", "build"]
"""``environment``: asked for, or required by what is.  ``base``: of the base.  ``tool``: used by builds of
the image and not part of it.  ``build``: used to build a wheel from source and not part of the image."""

SpecTable = Literal["pip", "conda", "system", "python", "experiments"]
TABLES: Final[tuple[SpecTable, ...]] = ("pip", "conda", "system", "python", "experiments")
"""Where a spec asks for packages; ``python``: its version of Python."""

PackageKey = tuple[PackagePart, PackageKind, str]
"""Part, kind and name (of what builds use: and version).  What is in the image is all ``environment``: it has
one package of a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One package of a target."""

    kind: PackageKind
    name: str
    """A Debian package of another architecture than the target's has it after a colon."""

    version: str | None
    """None: only the name is known, which an image base provides."""

    size: int | None = None
    """Bytes of the file; None: no file is locked."""

    part: PackagePart = "environment"
    build: str | None = None
    """Build string of a conda package."""

    archive: str | None = None
    """Archive of a Debian package that has a file: ``debian``, ``debian-security``."""

    built_for: tuple[str, ...] = ()
    """Names of the distributions whose builds use it, sorted."""

    @property
    def key(self) -> PackageKey:
        """What tells it from the other packages of its target."""
        if self.part == "build":
            # builds of two sources can use two versions
            return (self.part, self.kind, f"{self.name}=={self.version}")
        return ("environment" if self.part == "base" else self.part, self.kind, self.name)

    @property
    def label(self) -> str:
        """Name and version, as people write them."""
        build = f" {self.build}" if self.build else ""
        return f"{self.name} {self.version}{build}" if self.version else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementEdge:
    """One package requires another."""

    source: PackageKey
    target: PackageKey
    requirement: str
    """As the package states it, without its marker: ``numpy>=1.26,<2.7``, ``libc6 (>= 2.36)``."""

    extra: str = ""
    """Extra of ``source`` the requirement belongs to; empty: it always holds."""

    extras: tuple[str, ...] = ()
    """Extras of ``target`` it asks for, sorted."""

    via: str = ""
    """What ``target`` provides, where the requirement does not name it: ``awk``, ``numpy==2.4.0``."""

    bound: str = ""
    """Condition that newer versions of ``target`` may not meet: ``<2.7``; empty: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedPackage:
    """One thing the spec asks for."""

    table: SpecTable
    requirement: str
    """As in the normalised request."""

    target: PackageKey
    extras: tuple[str, ...] = ()
    via: str = ""
    """What ``target`` provides, where the requirement does not name it."""

    bound: str = ""
    """Condition that newer versions may not meet; empty: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageConstraint:
    """A condition on a package that asks for nothing: ``constraints`` of [pip], ``constrains`` of conda."""

    target: PackageKey
    by: str
    """``[pip] constraints``, or name and version of a conda package."""

    requirement: str
    bound: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageGraph:
    """All packages of one target, and why they are there."""

    variant: str
    platform: str
    base: str
    """Reference of the base image, or the distribution."""

    interpreter: str
    """Who brings the Python: ``deb python3.11-minimal``, ``standalone``, ``conda python``, ``image``."""

    packages: Mapping[PackageKey, LockedPackage]
    requested: tuple[RequestedPackage, ...] = ()
    """Sorted by table and requirement."""

    requires: Mapping[PackageKey, tuple[RequirementEdge, ...]] = field(default_factory=dict)
    """By package; sorted by kind and name of what is required."""

    required_by: Mapping[PackageKey, tuple[RequirementEdge, ...]] = field(default_factory=dict)
    constraints: tuple[PackageConstraint, ...] = ()
    gpu_runtime: str | None = None
    """``CUDA 13.0`` or ``ROCm 6.4``; None: not known, or the target computes on CPUs."""

    gpu_providers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """``wheel nvidia-cudnn-cu13`` → libraries of the GPU's vendor that it brings."""

    builds: Mapping[str, tuple[PackageKey, ...]] = field(default_factory=dict)
    """Name of a distribution that is built from source → what its build uses, sorted."""

    def named(self, name: str, kind: PackageKind | None = None) -> tuple[LockedPackage, ...]:
        """Return every package called ``name``, those of the image first.

        Names of Python distributions match in any spelling (PEP 503), others as they are or in lower case.
        """
        wanted = {name, name.lower(), normalized(name)}
        found = [
            package
            for package in self.packages.values()
            if kind in {None, package.kind}
            and (package.name in wanted or (package.kind != "deb" and normalized(package.name) in wanted))
        ]
        order = ("environment", "base", "tool", "build")
        return tuple(sorted(found, key=lambda one: (order.index(one.part), KINDS.index(one.kind), one.name)))

    def near(self, name: str, kind: PackageKind | None = None) -> tuple[str, ...]:
        """Return names like ``name``, the nearest first, at most three."""
        import difflib  # noqa: PLC0415 - for a mistyped name alone

        names = sorted({one.name for one in self.packages.values() if kind in {None, one.kind}})
        return tuple(difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.6))


def normalized(name: str) -> str:
    """Return a distribution's name in its one spelling (PEP 503)."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - not every graph has distributions

    return canonicalize_name(name)


def by_end(
    edges: Iterable[RequirementEdge],
) -> tuple[dict[PackageKey, tuple[RequirementEdge, ...]], dict[PackageKey, tuple[RequirementEdge, ...]]]:
    """Return ``edges`` by where they begin and by where they end, each once and in one order."""
    forward: dict[PackageKey, list[RequirementEdge]] = {}
    backward: dict[PackageKey, list[RequirementEdge]] = {}
    for edge in dict.fromkeys(edges):
        forward.setdefault(edge.source, []).append(edge)
        backward.setdefault(edge.target, []).append(edge)
    return (
        {
            key: tuple(sorted(found, key=lambda one: _order(one, one.target)))
            for key, found in forward.items()
        },
        {
            key: tuple(sorted(found, key=lambda one: _order(one, one.source)))
            for key, found in backward.items()
        },
    )


def _order(edge: RequirementEdge, end: PackageKey) -> tuple[object, ...]:
    part, kind, name = end
    return KINDS.index(kind), name, part, edge.extra, edge.requirement
