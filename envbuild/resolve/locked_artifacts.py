"""The artifacts of a lock while it is put together: each once, by key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from envbuild.errors import NoSolutionError
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Base, Builder, Deb, Wheel, WheelSource
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.sources.release import WheelBuilds
from envbuild.resolve.sources.wheel_content import with_build_number


@dataclass(frozen=True, slots=True)
class LockedArtifacts:
    """The artifacts of all targets, each once, by key."""

    bases: dict[str, Base] = field(default_factory=dict)
    debs: dict[str, Deb] = field(default_factory=dict)
    wheels: dict[str, Wheel] = field(default_factory=dict)
    conda: dict[str, CondaPackage] = field(default_factory=dict)
    sources: dict[str, WheelSource] = field(default_factory=dict)
    builders: dict[str, Builder] = field(default_factory=dict)

    def sorted(self) -> Mapping[str, Any]:
        """Return the fields of a lock that hold them, each sorted by key."""
        tables: dict[str, dict[str, Any]] = {
            "bases": self.bases,
            "debs": self.debs,
            "wheels": self.wheels,
            "conda": self.conda,
            "sources": self.sources,
            "builders": self.builders,
        }
        return {name: tuple(table[key] for key in sorted(table)) for name, table in tables.items()}

    def add_base(self, base: Base, variant: str) -> str:
        """Add ``base`` and return its key: its own, unless another base has that already."""
        key = base.key
        if self.bases.get(key, base) != base:
            key = f"{base.key} for {variant}"
        self.bases[key] = base.model_copy(update={"key": key})
        return key

    def add_debs(self, debs: Iterable[Deb]) -> tuple[str, ...]:
        """Add ``debs`` and return their keys, sorted."""
        found = {deb.file: deb for deb in debs}
        self.debs.update(found | self.debs)
        return tuple(sorted(found))

    def add_conda(self, packages: Iterable[CondaPackage]) -> tuple[str, ...]:
        """Add ``packages`` and return their keys, sorted."""
        found = {package.key: package for package in packages}
        self.conda.update(found)
        return tuple(sorted(found))

    def add_builds(self, builds: WheelBuilds, *, base: str, variant: str) -> None:
        """Add what wheels of ``variant`` are built from, and on, its base having the key ``base``."""
        if builds.builder is None:
            return
        key, locked = base, builds.builder.locked(base, base=base)
        if self.builders.get(key, locked) != locked:
            key = f"{base} for {variant}"
            locked = builds.builder.locked(key, base=base)
        self.builders[key] = locked
        self.add_debs(builds.debs)
        self.add_wheels(builds.requires)
        for source in builds.sources:
            self.sources.setdefault(source.wheel, source.model_copy(update={"builder": key}))

    def apart(self, python: PythonResolution) -> PythonResolution:
        """Return what was resolved, its built wheels under names that no other content has yet.

        A wheel for every platform can still depend on the Python that it was built by.  Where two differ, a
        build number made of the content tells them apart (binary distribution format, "File name
        convention").
        """
        names = {wheel.file: self._name_apart(wheel) for wheel in python.wheels}
        if all(new == old for old, new in names.items()):
            return python
        sources = (
            source.model_copy(update={"wheel": names.get(source.wheel, source.wheel)})
            for source in python.builds.sources
        )
        builds = replace(python.builds, sources=tuple(sorted(sources, key=lambda source: source.wheel)))
        wheels = (wheel.model_copy(update={"file": names[wheel.file]}) for wheel in python.wheels)
        return replace(python, wheels=tuple(wheels), builds=builds)

    def _name_apart(self, wheel: Wheel) -> str:
        known = self.wheels.get(wheel.file)
        if known is None or known.sha256 == wheel.sha256 or wheel.hash_source != "built":
            return wheel.file
        return with_build_number(wheel.file, wheel.sha256)

    def add_wheels(self, wheels: Iterable[Wheel]) -> tuple[str, ...]:
        """Add ``wheels`` and return their file names, sorted.

        :raises NoSolutionError: a file of the same name and another content is there.
        """
        keys = []
        for wheel in wheels:
            known = self.wheels.get(wheel.file)
            if known and known.sha256 != wheel.sha256:
                raise NoSolutionError(
                    f"two indexes publish different files named {wheel.file}",
                    hint=f"bind `{wheel.name}` to one index in [pip] sources",
                )
            # the same wheel in several targets holds what any of them needs to know of it
            requires = set(wheel.requires) | set(known.requires if known else ())
            self.wheels[wheel.file] = wheel.model_copy(update={"requires": tuple(sorted(requires))})
            keys.append(wheel.file)
        return tuple(sorted(keys))
