"""Whether what a lock holds is complete: everything required is there, in a version that will do.

Asked after a merge, where two resolutions were joined without a resolver.  Nothing is looked up anywhere.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from debian.debian_support import Version as DebianVersion
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from envbuild.errors import Problem
from envbuild.lock.model import Lock, Target, Wheel
from envbuild.platforms import PLATFORMS
from envbuild.resolve.python.target import TargetPython

_RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*)(?::\w+)?\s*(?:\((?P<how><<|<=|=|>=|>>)\s*(?P<version>\S+)\))?"
)
_COMPARES: Mapping[str, Callable[[int], bool]] = {
    "<<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "=": lambda order: order == 0,
    ">=": lambda order: order >= 0,
    ">>": lambda order: order > 0,
}


@dataclass(frozen=True, slots=True)
class Reached:
    """What a set of requirements leads to."""

    names: frozenset[str]
    """Normalised names of the distributions that are required, directly or not."""

    unmet: tuple[Problem, ...]
    """Requirements nothing satisfies, named by who has them."""

    missing: frozenset[str]
    """Names that are required and not there at all."""


def unmet_requirements(lock: Lock) -> tuple[Problem, ...]:
    """Return everything that is required in some target of ``lock`` and not there as required."""
    return tuple(problem for target in lock.targets for problem in _unmet_in(lock, target))


def _unmet_in(lock: Lock, target: Target) -> Iterator[Problem]:
    where = f"{target.variant} on {target.platform}"
    for problem in (*reach_wheels(lock, target).unmet, *_unmet_debs(lock, target)):
        yield Problem(f"{where}: {problem.where}", problem.message)


def distributions_of(lock: Lock, target: Target) -> dict[str, str]:
    """Return the version of each Python distribution that conda packages of a target bring, by name."""
    return dict(line.split("==", 1) for package in lock.conda_of(target) for line in package.distributions)


def reach_wheels(lock: Lock, target: Target) -> Reached:
    """Follow what is asked of a target through what each wheel requires there (PEP 508 markers, extras)."""
    asked = lock.request.variants[target.variant].pip
    wheels = {wheel.name: wheel for wheel in lock.wheels_of(target)}
    # what conda packages bring is there, but what it requires in turn is the conda solver's
    conda = distributions_of(lock, target)
    environment = TargetPython(
        platform=PLATFORMS[target.platform],
        libc=lock.base(target).libc,
        version=target.interpreter.version,
    ).marker_environment
    unmet: dict[Problem, None] = {}
    missing = set()
    seen: set[tuple[str, str]] = set()
    waiting = [("pip.requirements", Requirement(text), "") for text in asked.requirements]
    while waiting:
        who, requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({**environment, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        wheel = wheels.get(name)
        version = wheel.version if wheel else conda.get(name)
        if version is None:
            missing.add(name)
        if version is None or not requirement.specifier.contains(Version(version), prereleases=True):
            held = f"{name} {version}" if version else "not there"
            unmet[Problem(who, f"requires {requirement.name}{requirement.specifier}, which is {held}")] = None
            continue
        if wheel is None:
            continue
        for wanted in ("", *sorted(requirement.extras)):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting.extend((_called(wheel), Requirement(text), wanted) for text in wheel.requires)
    for constraint in map(Requirement, asked.constraints):
        wheel = wheels.get(canonicalize_name(constraint.name))
        applies = constraint.marker is None or constraint.marker.evaluate({**environment, "extra": ""})
        if wheel and applies and not constraint.specifier.contains(Version(wheel.version), prereleases=True):
            unmet[Problem("pip.constraints", f"allow {constraint}, and there is {_called(wheel)}")] = None
    return Reached(frozenset(name for name, _ in seen), tuple(unmet), frozenset(missing))


def _called(wheel: Wheel) -> str:
    return f"{wheel.name} {wheel.version}"


def _unmet_debs(lock: Lock, target: Target) -> Iterator[Problem]:
    base = lock.base(target)
    debs = lock.system_debs_of(target)
    there: dict[str, list[str]] = {}
    for listed in base.debs:
        name, _, rest = listed.partition("=")
        there.setdefault(name, []).append(rest.rpartition(":")[0])
    for deb in (*lock.base_debs_of(base), *debs):
        there.setdefault(deb.name, []).append(deb.version)
        for relation in _relations(deb.provides):
            # a package that is provided without a version answers only who asks for none (Debian Policy 7.5)
            there.setdefault(relation["name"], []).append(relation["version"] or "")
    for deb in debs:
        for group in deb.depends:
            if not any(_is_met(relation, there) for relation in _relations(group.split("|"))):
                yield Problem(f"{deb.name} {deb.version}", f"depends on {group}, which is not there")


def _relations(texts: Iterable[str]) -> Iterator[re.Match[str]]:
    for text in texts:
        if match := _RELATION.match(text.strip()):
            yield match


def _is_met(relation: re.Match[str], there: Mapping[str, list[str]]) -> bool:
    versions = there.get(relation["name"], [])
    if not relation["how"]:
        return bool(versions)
    wanted = DebianVersion(relation["version"])
    compare = _COMPARES[relation["how"]]
    return any(compare(_compared(version, wanted)) for version in versions if version)


def _compared(version: str, wanted: DebianVersion) -> int:
    mine = DebianVersion(version)
    return (mine > wanted) - (mine < wanted)
