"""What a lock is put together from once all is resolved: environments, accounts, artifacts each once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from envbuild.errors import NoSolutionError, SpecError
from envbuild.lock.conda import CONDA_PREFIX, CondaPackage
from envbuild.lock.gpu import TargetGpu
from envbuild.lock.model import PREFIX, Base, Deb, User, Wheel
from envbuild.platforms import DEFAULT_PATH
from envbuild.resolve.conda.activation import expand_value
from envbuild.resolve.gpu.facts import gpu_environment
from envbuild.spec.request import VariantRequest

FIRST_UID = 1000
LAST_UID = 59_999
"""Range of ordinary accounts (Debian Policy 9.2.2)."""


def compose_env(
    request: VariantRequest, base: Base, gpu: TargetGpu | None = None, *, conda: Iterable[CondaPackage] = ()
) -> dict[str, str]:
    """Return the whole environment of an image, by name.

    The base's, the prefix's, the GPU's, the seed's and the spec's, each laid over those before it.  With
    ``conda`` packages the prefix's is what activating them sets, in the order of their names.
    """
    path = base.env.get("PATH", DEFAULT_PATH)
    packages = sorted(conda, key=lambda package: package.name)
    if packages:
        env = dict(base.env) | {"PATH": f"{CONDA_PREFIX}/bin:{path}", "CONDA_PREFIX": CONDA_PREFIX}
        for package in packages:
            env |= {name: expand_value(value, env) for name, value in package.env.items()}
    else:
        env = dict(base.env) | {"PATH": f"{PREFIX}/bin:{path}", "VIRTUAL_ENV": PREFIX}
    if request.gpu is not None and gpu is not None:
        env |= gpu_environment(request.gpu, gpu, base.env)
    if request.seed is not None:
        # PYTHONHASHSEED: docs.python.org, "Command line and environment"; fixes the order of sets of strings.
        # CUBLAS_WORKSPACE_CONFIG: cuBLAS documentation 2.1.4, "Results reproducibility".
        env |= {"PYTHONHASHSEED": str(request.seed), "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    return dict(sorted((env | request.image.env).items()))


def choose_user(name: str, base: Base) -> User:
    """Return the account the image runs as: the base's own of that name, else the first free ordinary one.

    :raises SpecError: the name is a uid, which nothing in the image would have a name for.
    """
    if name.isdigit():
        raise SpecError.at("image.user", "must be a name", "the lock gives it a fixed uid")
    if name in base.users:
        uid, _, gid = base.users[name].partition(":")
        return User(name=name, uid=int(uid), gid=int(gid))
    if name == "root":
        return User(name=name, uid=0, gid=0)
    taken = {int(number) for pair in base.users.values() for number in pair.split(":")}
    free = next(number for number in range(FIRST_UID, LAST_UID + 1) if number not in taken)
    return User(name=name, uid=free, gid=free)


@dataclass(frozen=True, slots=True)
class LockedArtifacts:
    """The artifacts of all targets, each once, by key."""

    bases: dict[str, Base] = field(default_factory=dict)
    debs: dict[str, Deb] = field(default_factory=dict)
    wheels: dict[str, Wheel] = field(default_factory=dict)
    conda: dict[str, CondaPackage] = field(default_factory=dict)

    def sorted(self) -> Mapping[str, Any]:
        """Return the fields of a lock that hold them, each sorted by key."""
        tables: dict[str, dict[str, Any]] = {
            "bases": self.bases,
            "debs": self.debs,
            "wheels": self.wheels,
            "conda": self.conda,
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
