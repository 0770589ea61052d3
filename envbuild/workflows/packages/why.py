"""Why a package is in a lock: from what the spec asks for, step by step."""

from dataclasses import dataclass

from envbuild.lock.graph.model import LockedPackage, PackageGraph, PackageKey, PackageKind
from envbuild.lock.graph.reasons import PackageReasons, RequirementChain, reasons_for
from envbuild.workflows.packages.graphs import (
    chosen_targets,
    identifier,
    locked_targets,
    named_packages,
    package_document,
    refuse_kind,
)
from envbuild.workflows.project import Project

__all__ = ["PackageExplanation", "PackageKey", "RequirementChain", "WhyOptions", "WhyResult", "why_package"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyOptions:
    """Options of an explanation.

    :raises UsageError: a field has a value that it cannot have.
    """

    kind: PackageKind | None = None
    """Explain packages of this kind alone."""

    variant: str | None = None
    """None: all."""

    platform: str | None = None
    """None: all."""

    def __post_init__(self) -> None:
        refuse_kind(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageExplanation:
    """Why one package is in one target."""

    graph: PackageGraph
    reasons: PackageReasons

    @property
    def package(self) -> LockedPackage:
        """The package."""
        return self.reasons.package

    @property
    def target(self) -> str:
        """The target, for people."""
        return f"{self.graph.variant} on {self.graph.platform}"

    @property
    def content(self) -> tuple[object, ...]:
        """What is explained, without the target: equal for targets that can be shown together."""
        packages = self.graph.packages
        steps = tuple(packages[edge.source].label for chain in self.reasons.chains for edge in chain.steps)
        return (self.reasons, steps, self.graph.base, self.graph.gpu_runtime)

    def label(self, key: PackageKey) -> str:
        """Return name and version of a package of the same target."""
        return self.graph.packages[key].label

    def document(self) -> dict[str, object]:
        """Return the explanation as plain JSON values."""
        reasons = self.reasons
        return {
            "variant": self.graph.variant,
            "platform": self.graph.platform,
            **package_document(reasons.package),
            "base": self.graph.base if reasons.package.part == "base" else None,
            "required-in-base": reasons.required_in_base,
            "chains": [self._chain(chain) for chain in reasons.chains],
            "bounds": [
                {"by": bound.by, "requirement": bound.requirement, "bound": bound.bound}
                for bound in reasons.bounds
            ],
            "gpu-libraries": list(reasons.gpu_libraries),
            "built-for": list(reasons.package.built_for),
            "built-with": [identifier(package.key) for package in reasons.built_with],
        }

    def _chain(self, chain: RequirementChain) -> dict[str, object]:
        return {
            "table": chain.requested.table,
            "requirement": chain.requested.requirement,
            "id": identifier(chain.requested.target),
            "steps": [
                {
                    "id": identifier(edge.source),
                    "version": self.graph.packages[edge.source].version,
                    "extra": edge.extra or None,
                    "requirement": edge.requirement,
                    "provides": edge.via or None,
                    "requires": identifier(edge.target),
                }
                for edge in chain.steps
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyResult:
    """Why everything of one name is in a lock."""

    name: str
    explanations: tuple[PackageExplanation, ...]
    """By target, those of the default variant first."""

    @property
    def groups(self) -> tuple[tuple[PackageExplanation, ...], ...]:
        """The explanations, those that say the same of several targets together."""
        found: dict[tuple[object, ...], list[PackageExplanation]] = {}
        for explanation in self.explanations:
            found.setdefault(explanation.content, []).append(explanation)
        return tuple(map(tuple, found.values()))

    def document(self) -> list[dict[str, object]]:
        """Return the result as plain JSON values, one object for each package of each target."""
        return [explanation.document() for explanation in self.explanations]


def why_package(project: Project, name: str, options: WhyOptions | None = None) -> WhyResult:
    """Return why packages called ``name`` are in a project's lock.  The lock alone is read.

    :raises LockError: the lock is missing or cannot be used.
    :raises UsageError: the lock has no such target, or no package of this name.
    """
    options = options or WhyOptions()
    targets = chosen_targets(locked_targets(project), variant=options.variant, platform=options.platform)
    graphs = [target.graph() for target in targets]
    found = named_packages(graphs, name, options.kind, project=project)
    return WhyResult(
        name=name,
        explanations=tuple(
            PackageExplanation(graph=graph, reasons=reasons_for(graph, package)) for graph, package in found
        ),
    )
