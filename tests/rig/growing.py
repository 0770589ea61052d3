"""Locks that grow: what a branch does to one, without resolving anything."""

from collections.abc import Iterable

from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Deb, Lock, Target, Wheel


def with_wheels(lock: Lock, *wheels: Wheel, asks: Iterable[str] = ()) -> Lock:
    """Return ``lock`` with ``wheels`` in its one target, in place of others of their names."""
    (target,) = lock.targets
    names = {wheel.name for wheel in wheels}
    kept = [wheel for wheel in lock.wheels_of(target) if wheel.name not in names]
    return _holding(lock, target, [*kept, *wheels], added=asks)


def without_wheels(lock: Lock, *names: str, asked: Iterable[str] = ()) -> Lock:
    """Return ``lock`` without the wheels of ``names``, and without asking for ``asked``."""
    (target,) = lock.targets
    kept = [wheel for wheel in lock.wheels_of(target) if wheel.name not in names]
    return _holding(lock, target, kept, removed=asked)


def with_debs(lock: Lock, *debs: Deb) -> Lock:
    """Return ``lock`` with ``debs`` among its system packages, in place of others of their names."""
    (target,) = lock.targets
    names = {deb.name for deb in debs}
    old = {deb.file for deb in lock.system_debs_of(target) if deb.name in names}
    files = sorted({*target.debs, *(deb.file for deb in debs)} - old)
    held = {deb.file: deb for deb in (*lock.debs, *debs) if deb.file not in old}
    return lock.model_copy(
        update={
            "targets": (target.model_copy(update={"debs": tuple(files)}),),
            "debs": tuple(held[file] for file in sorted(held)),
        }
    )


def with_target(lock: Lock, **fields: object) -> Lock:
    """Return ``lock`` with other fields in its one target."""
    return lock.model_copy(update={"targets": (lock.targets[0].model_copy(update=fields),)})


def _holding(
    lock: Lock, target: Target, wheels: list[Wheel], *, added: Iterable[str] = (), removed: Iterable[str] = ()
) -> Lock:
    variant = lock.request.variants[target.variant]
    requirements = tuple(sorted({*variant.pip.requirements, *added} - set(removed)))
    pip = variant.pip.model_copy(update={"requirements": requirements})
    variants = {target.variant: variant.model_copy(update={"pip": pip})}
    held = {wheel.file: wheel for wheel in (*wheels, lock.installer_of(target))}
    return lock.model_copy(
        update={
            "request": lock.request.model_copy(update={"variants": variants}),
            "targets": (target.model_copy(update={"wheels": tuple(sorted(wheel.file for wheel in wheels))}),),
            "wheels": tuple(held[file] for file in sorted(held)),
        }
    )


def with_conda(lock: Lock, *packages: CondaPackage) -> Lock:
    """Return ``lock`` with ``packages`` in its one target, in place of others of their names."""
    (target,) = lock.targets
    names = {package.name for package in packages}
    held = {package.key: package for package in lock.conda if package.name not in names}
    held |= {package.key: package for package in packages}
    keys = tuple(sorted(held))
    return lock.model_copy(
        update={
            "conda": tuple(held[key] for key in keys),
            "targets": (target.model_copy(update={"conda": keys}),),
        }
    )
