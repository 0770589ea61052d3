"""From a target of a lock to the artifacts it is made of; where they are is asked when one is missing."""

import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Deb, Lock, PythonArchive, Target, Wheel
from envbuild.remote.address import Address
from envbuild.runtime.carried import carried_wheel, read_wheel
from envbuild.runtime.names import CARRIED
from envbuild.store.artifact import Artifact

P = TypeVar("P", bound=Wheel | Deb | CondaPackage)
P_contra = TypeVar("P_contra", contravariant=True)


class Locator(Protocol[P_contra]):
    """Knows where packages of one kind are.  Used from several threads at once."""

    def locate(self, package: P_contra, /) -> Iterable[Address]:
        """Return addresses, best first; may raise :class:`~envbuild.errors.EnvbuildError`."""


def artifacts_of(
    lock: Lock,
    target: Target,
    *,
    wheels: Locator[Wheel],
    debs: Locator[Deb],
    conda: Locator[CondaPackage],
    environment: Mapping[str, str] = os.environ,
) -> tuple[Artifact, ...]:
    """Return every file a build of ``target`` needs, each once, by kind, sorted by file name.

    The wheels of the environment, conda packages and what installs both, the packages of a bootstrapped base
    and those laid on it, a standalone Python, whose address ``environment`` may say.  No locator is asked
    anything before an artifact is missing.
    """
    installer = target.conda_installer
    archive = target.interpreter.archive or (installer.interpreter.archive if installer else None)
    found = (
        *([python_artifact(archive, environment)] if archive else []),
        *(artifact_of(deb, debs) for deb in lock.base_debs_of(lock.base(target))),
        *(artifact_of(deb, debs) for deb in lock.system_debs_of(target)),
        *(artifact_of(wheel, wheels) for wheel in (*lock.wheels_of(target), *lock.tools_of(target))),
        *(artifact_of(package, conda) for package in lock.conda_of(target)),
    )
    once = {artifact.sha256: artifact for artifact in found}
    return tuple(sorted(once.values(), key=lambda artifact: (artifact.kind, artifact.filename)))


def artifact_of(package: P, locator: Locator[P]) -> Artifact:
    """Return a locked package as what the store holds."""
    return Artifact(
        kind="wheel" if isinstance(package, Wheel) else "deb" if isinstance(package, Deb) else "conda",
        name=f"{package.name} {package.version}",
        filename=package.file,
        sha256=package.sha256,
        size=package.size,
        locate=partial(locator.locate, package),
        carried=partial(_carried, package),
        # as apt saves it, and as the archive names it, without the epoch
        other_names=(package.file.replace(":", "%3a"), package.path.rpartition("/")[2])
        if isinstance(package, Deb)
        else (),
    )


def _carried(package: Wheel | Deb | CondaPackage) -> bytes | None:
    """Return the bytes of a wheel that this release carries in itself."""
    if not isinstance(package, Wheel) or package.index != CARRIED:
        return None
    carried = carried_wheel(package.file)
    return read_wheel(package.file) if carried and carried.sha256 == package.sha256 else None


def python_artifact(archive: PythonArchive, environment: Mapping[str, str] = os.environ) -> Artifact:
    """Return a standalone Python as what the store holds."""

    def locate() -> Iterable[Address]:
        # the table of builds is a megabyte: only a file that is missing is worth it
        from envbuild.remote.python_builds import standalone_address  # noqa: PLC0415

        return (standalone_address(archive.path, environment),)

    return Artifact(
        kind="python",
        name=archive.file.partition("+")[0].replace("-", " "),
        filename=archive.file,
        sha256=archive.sha256,
        size=archive.size,
        locate=locate,
    )
