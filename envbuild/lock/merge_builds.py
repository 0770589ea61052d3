"""Wheels that are built from source, in a merge: each keeps what its side built it from, and on."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from envbuild.errors import Problem
from envbuild.lock.model import Builder, Deb, Lock, Wheel, WheelSource


@dataclass(slots=True)
class MergedBuilds:
    """What a merged lock has because some of its wheels are built."""

    sources: dict[str, WheelSource] = field(default_factory=dict)
    builders: dict[str, Builder] = field(default_factory=dict)
    debs: dict[str, Deb] = field(default_factory=dict)
    wheels: dict[str, Wheel] = field(default_factory=dict)
    """What they are built with."""

    conflicts: list[Problem] = field(default_factory=list)

    def add(self, lock: Lock, source: WheelSource) -> None:
        """Add a source of one side with all that belongs to it."""
        builder = lock.builder_of(source)
        known = self.builders.setdefault(builder.key, builder)
        if known != builder:
            message = "the two sides build on other packages; run `envbuild lock`"
            self.conflicts.append(Problem(f"builders.{builder.key}", message))
        self.sources[source.wheel] = source
        self.wheels |= {wheel.file: wheel for wheel in lock.build_wheels_of(source)}
        debs = {deb.file: deb for deb in lock.debs}
        self.debs |= {file: debs[file] for file in builder.debs}


def merge_builds(wheels: Iterable[str], bases: Iterable[str], ours: Lock, theirs: Lock) -> MergedBuilds:
    """Return the builds of ``wheels``, by file name; ``bases`` are the keys that the merged lock has."""
    merged, wanted = MergedBuilds(), set(wheels)
    for lock in (ours, theirs):
        for source in lock.sources:
            if source.wheel in wanted and source.wheel not in merged.sources:
                merged.add(lock, source)
    for key in sorted({builder.base for builder in merged.builders.values()} - set(bases)):
        message = f"wheels are built on {key}, which no target has any more; run `envbuild lock`"
        merged.conflicts.append(Problem("builders", message))
    return merged


def tools_of_builds(lock: Lock, wheels: Iterable[str]) -> set[str]:
    """Return the file names of what the built ones among ``wheels`` are built with."""
    wanted = set(wheels)
    return {file for source in lock.sources if source.wheel in wanted for file in source.requires}


def without_idle_builds(lock: Lock) -> Lock:
    """Return ``lock`` without sources of wheels that no target has, and without their builders."""
    used = {file for target in lock.targets for file in target.wheels}
    sources = tuple(source for source in lock.sources if source.wheel in used)
    named = {source.builder for source in sources}
    builders = tuple(builder for builder in lock.builders if builder.key in named)
    return lock.model_copy(update={"sources": sources, "builders": builders})
