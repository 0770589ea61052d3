"""What conda packages of one target depend on (conda documentation, "Package match specifications")."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from envbuild.lock.graph.model import PackageConstraint, PackageKey, RequestedPackage, RequirementEdge

_SPEC: Final = re.compile(r"(?:[^\s\[\]]+::)?(?P<name>[A-Za-z0-9_.-]*[A-Za-z0-9_])(?P<rest>.*)", re.DOTALL)
_CONDITION: Final = re.compile(r"(?P<how>[<>!=~]=?)?\s*(?P<version>[A-Za-z0-9_.*+!-]+)")


def spec_name(spec: str) -> str:
    """Return the name a match spec asks for; empty when it has none."""
    match = _SPEC.match(spec.strip())
    return match["name"].lower() if match else ""


def spec_bound(spec: str) -> str:
    """Return the conditions of a match spec that a newer version may not meet; empty: there are none.

    A version without an operator, or with ``=``, is one too.
    """
    match = _SPEC.match(spec.strip())
    version = match["rest"].split("[")[0].split() if match else []
    if not version or version[0] == "*":
        return ""
    parts = [part.strip("() ") for part in re.split(r"([,|])", version[0])]
    found = [part for part in parts if part not in {",", "|"} and _limits(part)]
    return (" | " if "|" in parts else ",").join(found)


def _limits(condition: str) -> bool:
    match = _CONDITION.fullmatch(condition)
    if match is None or match["version"] == "*":
        return False
    return match["how"] in {None, "<", "<=", "=", "==", "~="}


def conda_edges(
    packages: Mapping[PackageKey, Iterable[str]], keys: Mapping[str, PackageKey]
) -> Iterator[RequirementEdge]:
    """Yield what each package depends on; virtual packages (``__glibc``) are in no lock."""
    for source, depends in packages.items():
        for spec in depends:
            target = keys.get(spec_name(spec))
            if target and target != source:
                yield RequirementEdge(source=source, target=target, requirement=spec, bound=spec_bound(spec))


def conda_requests(specs: Iterable[str], keys: Mapping[str, PackageKey]) -> Iterator[RequestedPackage]:
    """Yield what the spec asks of conda."""
    for spec in specs:
        if target := keys.get(spec_name(spec)):
            yield RequestedPackage(table="conda", requirement=spec, target=target, bound=spec_bound(spec))


def conda_constraints(
    constrains: Mapping[str, Iterable[str]], keys: Mapping[str, PackageKey]
) -> Iterator[PackageConstraint]:
    """Yield what packages, by name and version, state of others that happen to be there."""
    for by, specs in constrains.items():
        for spec in specs:
            target, bound = keys.get(spec_name(spec)), spec_bound(spec)
            if target and bound:
                yield PackageConstraint(target=target, by=by, requirement=spec, bound=bound)
