"""The artifacts of all targets of a lock, each once."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from envbuild.errors import NoSolutionError
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Base, Deb, Wheel


@dataclass(slots=True)
class Gathered:
    """Artifacts met so far, each once."""

    bases: dict[str, Base] = field(default_factory=dict)
    debs: dict[str, Deb] = field(default_factory=dict)
    wheels: dict[str, Wheel] = field(default_factory=dict)
    conda: dict[str, CondaPackage] = field(default_factory=dict)

    def take_conda(self, packages: Iterable[CondaPackage]) -> tuple[str, ...]:
        """Take ``packages`` and return their keys, sorted."""
        found = {package.key: package for package in packages}
        self.conda |= found
        return tuple(sorted(found))

    def take_base(self, base: Base, variant: str) -> str:
        """Take ``base`` and return its key: its own, unless another base has that already."""
        key = base.key
        if self.bases.get(key, base) != base:
            key = f"{base.key} for {variant}"
        self.bases[key] = base.model_copy(update={"key": key})
        return key

    def take_debs(self, debs: Iterable[Deb]) -> tuple[str, ...]:
        """Take ``debs`` and return their keys, sorted."""
        keys = []
        for deb in debs:
            self.debs.setdefault(deb.file, deb)
            keys.append(deb.file)
        return tuple(sorted(keys))

    def take_wheels(self, wheels: Iterable[Wheel]) -> tuple[str, ...]:
        """Take ``wheels`` and return their file names, sorted.

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
