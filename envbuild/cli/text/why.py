"""Why a package is in a lock, as text for a terminal."""

from collections.abc import Iterator

from envbuild.workflows.packages.why import PackageExplanation, PackageKey, RequirementChain, WhyResult
from envbuild.workflows.sizes import counted


def as_text(result: WhyResult, *, limit: int | None) -> Iterator[str]:
    """Yield the lines of an explanation, with at most ``limit`` chains for each package; None: all."""
    for position, group in enumerate(result.groups):
        if position:
            yield ""
        first = group[0]
        targets = ", ".join(explanation.target for explanation in group)
        yield f"{first.package.label} ({first.package.kind}): {targets}"
        for line in _said(first, limit):
            yield f"  {line}" if line else line


def _said(explained: PackageExplanation, limit: int | None) -> Iterator[str]:
    reasons = explained.reasons
    yield from _part(explained)
    shown = reasons.chains if limit is None else reasons.chains[:limit]
    for chain in shown:
        yield from _chain(explained, chain)
    if left := len(reasons.chains) - len(shown):
        yield f"… and {counted(left, 'more chain')}: --limit 0 shows all"
    if reasons.required_in_base:
        verb = "requires" if reasons.required_in_base == 1 else "require"
        yield f"{counted(reasons.required_in_base, 'package')} of the base {verb} it"
    yield from _facts(explained)
    if reasons.bounds:
        yield "newer versions are limited by"
    for bound in reasons.bounds:
        yield f"  {bound.by}: {bound.bound}"


def _part(explained: PackageExplanation) -> Iterator[str]:
    package = explained.package
    if package.part == "base":
        yield f"part of the base {explained.graph.base}"
    elif package.part == "tool":
        yield "used by builds of the image; not part of it"
    elif package.part == "build":
        yield f"used to build from source: {', '.join(package.built_for)}; not part of the image"
    elif not explained.reasons.chains:
        yield "nothing in the lock requires it"


def _facts(explained: PackageExplanation) -> Iterator[str]:
    reasons, graph = explained.reasons, explained.graph
    if reasons.gpu_libraries:
        runtime = f" of {graph.gpu_runtime}" if graph.gpu_runtime else ""
        yield f"brings {', '.join(reasons.gpu_libraries)}{runtime}; see `envbuild explain gpu`"
    if reasons.built_with:
        yield f"built from source with {', '.join(one.label for one in reasons.built_with)}"


def _chain(explained: PackageExplanation, chain: RequirementChain) -> Iterator[str]:
    requested = chain.requested
    if requested.table == "python":
        yield f"the Python of the spec: {requested.requirement}"
    else:
        provided = f", which {_subject(explained, requested.target)} provides" if requested.via else ""
        yield f"[{requested.table}] asks for {requested.requirement}{provided}"
    for edge in chain.steps:
        extra = f" [{edge.extra}]" if edge.extra else ""
        provided = f", which {_subject(explained, edge.target)} provides" if edge.via else ""
        yield f"  {explained.label(edge.source)}{extra} requires {edge.requirement}{provided}"


def _subject(explained: PackageExplanation, key: PackageKey) -> str:
    package = explained.graph.packages[key]
    return f"{package.label} ({package.kind})"
