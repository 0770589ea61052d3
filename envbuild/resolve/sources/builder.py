"""What wheels are built on: the base of an environment, its Python, and compilers laid on it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.lock.model import Base, Builder, Deb, Interpreter, Lock, Target, Wheel, WheelSource
from envbuild.resolve.compose import choose_user, compose_env
from envbuild.resolve.sources.job import EPOCH, FORMAT
from envbuild.spec.request import BaseRequest, Request, VariantRequest

NAME: Final = "envbuild-builder"
"""Name of the images that wheels are built in."""

TOOLS: Final = ("g++", "gcc", "git", "libc6-dev", "make", "pkg-config")
"""Packages of the distribution that every builder has: compilers, and git, which many builds ask for their
version even where there is no repository."""


def builder_packages(request: VariantRequest, interpreter: Interpreter) -> tuple[str, ...]:
    """Return the packages of the distribution that a builder has besides the base, sorted.

    Compilers, the headers of a Python that is the distribution's, and all that the spec asks for: a build
    finds there what it would find in a Dockerfile after ``apt-get install``.
    """
    kind, _, name = interpreter.provider.partition(" ")
    headers = (f"{name.removesuffix('-minimal')}-dev",) if kind == "deb" else ()
    asked = (*request.system.packages, *request.pip.build_packages)
    named = {package.partition("=")[0] for package in asked}
    own = tuple(package for package in (*TOOLS, *headers) if package not in named)
    return tuple(sorted({*own, *asked}))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedBuilder:
    """A builder and all it is made of."""

    base: Base
    base_debs: tuple[Deb, ...]
    """Packages a bootstrapped base consists of."""

    interpreter: Interpreter
    debs: tuple[Deb, ...]
    """Laid on the base for builds."""

    installer: Wheel
    request: VariantRequest

    @property
    def identity(self) -> dict[str, Any]:
        """What of it can change what is built, as plain JSON values."""
        base = self.base.image.digest if self.base.image else None
        return {
            "base": base or sorted(deb.sha256 for deb in self.base_debs),
            "debs": sorted(deb.sha256 for deb in self.debs),
            "interpreter": self.interpreter.model_dump(mode="json", include={"version", "path", "sha256"}),
            "platform": self.base.platform,
        }

    @property
    def digest(self) -> str:
        """What tells it from another one, 64 hexadecimal digits."""
        return sha256_bytes(canonical_json(self.identity))

    def locked(self, key: str, *, base: str) -> Builder:
        """Return it as the lock names it, on the base with the key ``base``."""
        return Builder(
            key=key,
            base=base,
            interpreter=self.interpreter,
            debs=tuple(sorted(deb.file for deb in self.debs)),
        )

    def environment(self) -> tuple[Lock, Target]:
        """Return it as an environment, which an engine can build."""
        request = VariantRequest(
            python=self.request.python,
            snapshot=self.request.snapshot,
            base=BaseRequest(
                image=self.base.image.reference if self.base.image else None,
                packages=self.base.packages.distribution if self.base.packages else None,
            ),
        )
        target = Target(
            variant="default",
            platform=self.base.platform,
            base=self.base.key,
            interpreter=self.interpreter,
            installer=self.installer.file,
            debs=tuple(sorted(deb.file for deb in self.debs)),
            env=compose_env(request, self.base),
            user=choose_user("app", self.base),
            workdir="/workspace",
            command=("python",),
        )
        debs = {deb.file: deb for deb in (*self.base_debs, *self.debs)}
        lock = Lock(
            request=Request(
                name=NAME,
                platforms=(self.base.platform,),
                default_variant="default",
                variants={"default": request},
            ),
            targets=(target,),
            bases=(self.base,),
            debs=tuple(debs[file] for file in sorted(debs)),
            wheels=(self.installer,),
        )
        return lock, target


def locked_builder(lock: Lock, source: WheelSource) -> ResolvedBuilder:
    """Return the builder of a source that is locked already."""
    builder = lock.builder_of(source)
    base = next(base for base in lock.bases if base.key == builder.base)
    target = next(target for target in lock.targets if source.wheel in target.wheels)
    debs = {deb.file: deb for deb in lock.debs}
    return ResolvedBuilder(
        base=base,
        base_debs=lock.base_debs_of(base),
        interpreter=builder.interpreter,
        debs=tuple(debs[file] for file in builder.debs),
        installer=lock.installer_of(target),
        request=lock.request.variants[target.variant],
    )


def build_key(
    builder: ResolvedBuilder, *, source: str, subdirectory: str, is_tree: bool, requires: Iterable[str]
) -> str:
    """Return the one key over all that a build depends on, 64 hexadecimal digits.

    ``source`` is the sha256 of the archive, which ``is_tree`` says to hold the files themselves; ``requires``
    those of the wheels it is built with.
    """
    return sha256_bytes(
        canonical_json(
            {
                "builder": builder.identity,
                "epoch": EPOCH,
                "format": FORMAT,
                "is-tree": is_tree,
                "requires": sorted(requires),
                "source": source,
                "subdirectory": subdirectory,
            }
        )
    )
