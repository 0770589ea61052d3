"""Two locks that grew out of one, merged field by field: what git's lines cannot say, the model can.

A change of one side is taken over, a change of both is a conflict unless they agree.  Versions nobody changed
stay as they are.  Whether the result still holds together is not asked here, but by
:mod:`envbuild.resolve.completeness`.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from envbuild.errors import Problem
from envbuild.lock.conda import CondaPackage
from envbuild.lock.data import LockedData
from envbuild.lock.merge_builds import MergedBuilds, merge_builds
from envbuild.lock.model import Base, Deb, Lock, Target, Wheel
from envbuild.platforms import PlatformName
from envbuild.spec.request import Request, VariantRequest

Item = TypeVar("Item", bound=Wheel | Deb)
Anything = TypeVar("Anything")

_ORDERED = frozenset({"channels", "command"})
"""Lists whose order is part of their meaning: one value, not a collection."""

_END_OF_NAME = re.compile(r"[\s=<>!~]")

_ASKED_ANEW = "it is new on one side, and the other changed what is asked of it; run `envbuild lock`"

_RESOLVED_ON = "it was resolved for a base that the other side replaced; run `envbuild lock`"


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a merge."""

    lock: Lock | None
    """None: there are conflicts."""

    conflicts: tuple[Problem, ...]


class Absent:
    """Stands for what a side does not have."""

    def __str__(self) -> str:
        return "nothing"


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class _TargetPart:
    """One target of one side, with what it refers to."""

    target: Target

    asked: VariantRequest = field(compare=False)
    """What it was locked for."""

    base: Base
    base_debs: tuple[Deb, ...]
    wheels: Mapping[str, Wheel]
    debs: Mapping[str, Deb]
    conda: tuple[CondaPackage, ...]
    tools: tuple[Wheel, ...]
    """What a build uses and does not install."""

    @classmethod
    def of(cls, lock: Lock, variant: str, platform: PlatformName) -> "_TargetPart | None":
        for target in lock.targets:
            if (target.variant, target.platform) == (variant, platform):
                base = lock.base(target)
                return cls(
                    target=target,
                    asked=lock.request.variants[variant],
                    base=base,
                    base_debs=lock.base_debs_of(base),
                    wheels={wheel.name: wheel for wheel in lock.wheels_of(target)},
                    debs={f"{deb.name}:{deb.architecture}": deb for deb in lock.system_debs_of(target)},
                    conda=lock.conda_of(target),
                    tools=lock.tools_of(target),
                )
        return None

    @property
    def ground(self) -> tuple[object, ...]:
        """What its packages were resolved for."""
        return (self.base.model_copy(update={"key": ""}), self.target.interpreter)


@dataclass(slots=True)
class _LockMerge:
    """One merge: what conflicts so far."""

    conflicts: list[Problem] = field(default_factory=list)

    def choose(self, where: str, base: Anything, ours: Anything, theirs: Anything) -> Anything:
        """Return the side that changed, or note that both did."""
        if theirs in (ours, base):
            return ours
        if ours == base:
            return theirs
        self.conflicts.append(Problem(where, f"{_shown(ours)} on one side, {_shown(theirs)} on the other"))
        return ours

    def values(self, where: str, base: Any, ours: Any, theirs: Any) -> Any:
        """Return plain values merged: tables by key, lists by what each item is about."""
        sides = (base, ours, theirs)
        if all(isinstance(side, Mapping) for side in sides):
            return self.tables(where, *sides)
        name = where.rpartition(".")[2]
        if name not in _ORDERED and all(isinstance(side, (tuple, list)) for side in sides):
            return self.collections(where, *sides)
        return self.choose(where, *sides)

    def collections(
        self, where: str, base: Collection[str], ours: Collection[str], theirs: Collection[str]
    ) -> Collection[str]:
        """Return lists merged by what their items are about; as they stand when only one side changed any."""
        if theirs in (ours, base):
            return ours
        if ours == base:
            return theirs
        sides = [_by_subject(side) for side in (base, ours, theirs)]
        merged: list[str] = []
        for subject in sorted(set().union(*sides)):
            merged += self.choose(f"{where}.{subject}", *(side.get(subject, ()) for side in sides))
        return tuple(sorted(merged))

    def tables(
        self, where: str, base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return tables merged key by key."""
        merged = {}
        for key in sorted({*base, *ours, *theirs}):
            place = f"{where}.{key}" if where else key
            value = self.values(place, *(side.get(key, ABSENT) for side in (base, ours, theirs)))
            if value is not ABSENT:
                merged[key] = value
        return merged

    def request(self, base: Request, ours: Request, theirs: Request) -> Request | None:
        """Return what is asked by both sides; None when they contradict each other."""
        known = len(self.conflicts)
        plain = (side.model_dump(mode="python", by_alias=True) for side in (base, ours, theirs))
        merged = self.tables("request", *plain)
        return Request.model_validate(merged) if len(self.conflicts) == known else None

    def packages(
        self, where: str, base: Mapping[str, Item], ours: Mapping[str, Item], theirs: Mapping[str, Item]
    ) -> dict[str, Item]:
        """Return packages merged by name; one side's whole when only that changed any."""
        merged: dict[str, Item] = {}
        for name in sorted({*base, *ours, *theirs}):
            sides = [side.get(name) for side in (base, ours, theirs)]
            files = [(item.file, item.sha256) if item else None for item in sides]
            known = len(self.conflicts)
            chosen = self.choose(f"{where}.{name}", *files)
            if len(self.conflicts) > known:
                self.conflicts[-1] = Problem(
                    f"{where}.{name}", f"{_version(sides[1])} on one side, {_version(sides[2])} on the other"
                )
            item = next((side for side in sides[1:] if side and (side.file, side.sha256) == chosen), None)
            if item is not None:
                merged[name] = item
        return merged

    def part(
        self, where: str, base: "_TargetPart | None", ours: "_TargetPart | None", theirs: "_TargetPart | None"
    ) -> "_TargetPart | None":
        """Return a target merged; None when it is gone, or there are conflicts."""
        if base is None or ours is None or theirs is None:
            return self.choose(where, base, ours, theirs)
        ground = self.choose(f"{where}.base", base.ground, ours.ground, theirs.ground)
        grown = ours if ours.ground == ground else theirs
        for mine, other in ((ours, theirs), (theirs, ours)):
            moved = other.ground not in (base.ground, mine.ground)
            changed = _files(mine) != _files(base) and _files(mine) != _files(other)
            if moved and changed:
                self.conflicts.append(Problem(where, _RESOLVED_ON))
        sides = (base, ours, theirs)
        fields: dict[str, Any] = {
            name: self.choose(f"{where}.{name}", *(getattr(side.target, name) for side in sides))
            for name in ("user", "workdir", "command", "gpu", "installer")
        }
        env = self.tables(f"{where}.env", *(side.target.env for side in sides))
        # one solution of one solver: what both changed is not to be put together from two
        conda, fields["conda_installer"] = self.choose(
            f"{where}.conda", *((side.conda, side.target.conda_installer) for side in sides)
        )
        return _TargetPart(
            target=grown.target.model_copy(update={**fields, "env": env}),
            asked=grown.asked,
            base=grown.base,
            base_debs=grown.base_debs,
            wheels=self.packages(f"{where}.wheels", *(side.wheels for side in sides)),
            debs=self.packages(f"{where}.debs", *(side.debs for side in sides)),
            conda=conda,
            tools=tuple({tool.file: tool for side in (ours, theirs) for tool in side.tools}.values()),
        )


def merge_locks(base: Lock, ours: Lock, theirs: Lock) -> Merged:
    """Return the lock that holds what both sides changed since ``base``, or their conflicts."""
    merge = _LockMerge()
    asked = merge.request(base.request, ours.request, theirs.request)
    if asked is None:
        return Merged(None, tuple(merge.conflicts))
    parts = []
    for variant, platform in asked.targets():
        where = f"{variant} on {platform}"
        before, *sides = (_TargetPart.of(lock, variant, platform) for lock in (base, ours, theirs))
        part = merge.part(where, before, *sides)
        if part is None:
            merge.conflicts.append(Problem(where, "no side has locked it; run `envbuild lock`"))
        elif None in sides and part.asked != asked.variants[variant]:
            # taken whole from the one side that has it, which did not know of the other's wishes
            merge.conflicts.append(Problem(where, _ASKED_ANEW))
        else:
            parts.append(part)
    known = _known_wheels((ours, theirs), merge)
    data = _merged_data(merge, base, ours, theirs)
    if merge.conflicts:
        return Merged(None, tuple(dict.fromkeys(merge.conflicts)))
    composed = _composed(asked, parts, known, ours, theirs).model_copy(update={"data": data})
    builds = merge_builds(
        (file for target in composed.targets for file in target.wheels),
        (base.key for base in composed.bases),
        ours,
        theirs,
    )
    if builds.conflicts:
        return Merged(None, tuple(builds.conflicts))
    return Merged(_with_builds(composed, builds), ())


def _merged_data(merge: _LockMerge, base: Lock, ours: Lock, theirs: Lock) -> tuple[LockedData, ...]:
    """Return the data of both sides by name; what both locked otherwise is a conflict."""
    sides = [{data.name: data for data in lock.data} for lock in (base, ours, theirs)]
    merged = []
    for name in sorted(set().union(*sides)):
        chosen = merge.choose(f"data.{name}", *(side.get(name) for side in sides))
        merged += [chosen] if chosen is not None else []
    return tuple(merged)


def _with_builds(lock: Lock, builds: MergedBuilds) -> Lock:
    debs = builds.debs | {deb.file: deb for deb in lock.debs}
    wheels = builds.wheels | {wheel.file: wheel for wheel in lock.wheels}
    return lock.model_copy(
        update={
            "debs": tuple(debs[file] for file in sorted(debs)),
            "wheels": tuple(wheels[file] for file in sorted(wheels)),
            "sources": tuple(builds.sources[file] for file in sorted(builds.sources)),
            "builders": tuple(builds.builders[key] for key in sorted(builds.builders)),
        }
    )


def _files(part: _TargetPart) -> tuple[object, ...]:
    target = part.target
    return (target.wheels, target.debs, target.conda)


def _known_wheels(locks: Iterable[Lock], merge: _LockMerge) -> dict[str, Wheel]:
    """Return every wheel by file; what it requires is what it requires in any target of any side."""
    known: dict[str, Wheel] = {}
    for lock in locks:
        for wheel in lock.wheels:
            other = known.get(wheel.file, wheel)
            if other.sha256 != wheel.sha256:
                message = f"{other.sha256[:12]}… on one side, {wheel.sha256[:12]}… on the other"
                merge.conflicts.append(Problem(f"wheels.{wheel.file}", message))
            requires = tuple(sorted({*wheel.requires, *other.requires}))
            known[wheel.file] = wheel.model_copy(update={"requires": requires})
    return known


def _composed(
    asked: Request, parts: Iterable[_TargetPart], known: Mapping[str, Wheel], ours: Lock, theirs: Lock
) -> Lock:
    bases: dict[str, Base] = {}
    debs: dict[str, Deb] = {}
    conda: dict[str, CondaPackage] = {}
    wheels: set[str] = set()
    targets = []
    for part in parts:
        key = part.base.key
        if bases.get(key, part.base) != part.base:
            key = f"{part.base.key} for {part.target.variant}"
        bases[key] = part.base.model_copy(update={"key": key})
        debs |= {deb.file: deb for deb in (*part.base_debs, *part.debs.values())}
        files = {wheel.file for wheel in part.wheels.values()}
        conda |= {package.key: package for package in part.conda}
        target = part.target.model_copy(
            update={
                "base": key,
                "wheels": tuple(sorted(files)),
                "debs": tuple(sorted(deb.file for deb in part.debs.values())),
                "conda": tuple(sorted(package.key for package in part.conda)),
            }
        )
        wheels |= {*files, *(tool.file for tool in part.tools if tool.file in _tools(target))}
        targets.append(target)
    return ours.model_copy(
        update={
            "tools": _newest(ours.tools, theirs.tools),
            "request": asked,
            "targets": tuple(targets),
            "bases": tuple(bases[key] for key in sorted(bases)),
            "debs": tuple(debs[key] for key in sorted(debs)),
            "conda": tuple(conda[key] for key in sorted(conda)),
            "wheels": tuple(known[file] for file in sorted(wheels)),
        }
    )


def _tools(target: Target) -> set[str]:
    """Return the files of the wheels a build uses and does not install."""
    return {target.installer, *([target.conda_installer.wheel] if target.conda_installer else [])}


def _newest(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Return the newer version of each tool: it made its part, and the other's part was kept."""
    return {
        name: max((side[name] for side in (ours, theirs) if name in side), key=_order)
        for name in sorted({*ours, *theirs})
    }


def _order(version: str) -> tuple[Version, str]:
    try:
        return Version(version), version
    except InvalidVersion:
        return Version("0"), version


def _by_subject(items: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the items of a list by what they are about: ``numpy>=2`` and ``numpy<3`` are one demand."""
    subjects: dict[str, tuple[str, ...]] = {}
    for item in sorted(items):
        subject = _subject(item)
        subjects[subject] = (*subjects.get(subject, ()), item)
    return subjects


def _subject(item: str) -> str:
    """Return what an item of a list is about, so that two versions of it are a conflict and not two items."""
    try:
        requirement = Requirement(item)
    except InvalidRequirement:
        # a system package, a conda package or a pin of one, the digest of an image
        return _END_OF_NAME.split(item.rpartition("::")[2], maxsplit=1)[0]
    return f"{requirement.name}; {requirement.marker}" if requirement.marker else requirement.name


def _version(item: Wheel | Deb | None) -> str:
    return item.version if item else "removed"


def _shown(value: object) -> str:
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(f"`{item}`" for item in value) or "nothing"
    if value is None:
        return "unset"
    if isinstance(value, (str, int, Absent)):
        return f"`{value}`" if isinstance(value, str) else str(value)
    return "another value"
