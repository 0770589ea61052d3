"""From a target of a lock to the artifacts it is made of; where they are is asked when one is missing."""

from collections.abc import Iterable
from functools import partial
from typing import Protocol

from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Deb, Lock, PythonArchive, Target, Wheel
from envbuild.remote.address import Address
from envbuild.store.artifact import Artifact


class WheelLocator(Protocol):
    """Knows where wheels are.  Used from several threads at once."""

    def locate(self, wheel: Wheel) -> Iterable[Address]:
        """Return addresses, best first; may raise :class:`~envbuild.errors.EnvbuildError`."""


class DebLocator(Protocol):
    """Knows where Debian packages are.  Used from several threads at once."""

    def locate(self, deb: Deb) -> Iterable[Address]:
        """Return addresses, best first; may raise :class:`~envbuild.errors.EnvbuildError`."""


class CondaLocator(Protocol):
    """Knows where conda packages are.  Used from several threads at once."""

    def locate(self, package: CondaPackage) -> Iterable[Address]:
        """Return addresses, best first; may raise :class:`~envbuild.errors.EnvbuildError`."""


def artifacts_of(
    lock: Lock, target: Target, *, wheels: WheelLocator, debs: DebLocator, conda: CondaLocator
) -> tuple[Artifact, ...]:
    """Return every file a build of ``target`` needs, each once, by kind, sorted by file name.

    The wheels of the environment, conda packages and what installs both, the packages of a bootstrapped base
    and those laid on it, a standalone Python.  No locator is asked anything before an artifact is missing.
    """
    installer = target.conda_installer
    archive = target.interpreter.archive or (installer.interpreter.archive if installer else None)
    found = (
        *([python_artifact(archive)] if archive else []),
        *(
            _of_deb(deb, debs)
            for deb in (*lock.base_debs_of(lock.base(target)), *lock.system_debs_of(target))
        ),
        *(wheel_artifact(wheel, wheels) for wheel in (*lock.wheels_of(target), *lock.tools_of(target))),
        *(conda_artifact(package, conda) for package in lock.conda_of(target)),
    )
    once = {artifact.sha256: artifact for artifact in found}
    return tuple(sorted(once.values(), key=lambda artifact: (artifact.kind, artifact.filename)))


def conda_artifact(package: CondaPackage, locator: CondaLocator) -> Artifact:
    """Return the artifact that a locked conda package is."""
    return Artifact(
        kind="conda",
        name=f"{package.name} {package.version}",
        filename=package.file,
        sha256=package.sha256,
        size=package.size,
        locate=partial(locator.locate, package),
    )


def wheel_artifact(wheel: Wheel, locator: WheelLocator) -> Artifact:
    """Return a wheel as what the store holds."""
    return Artifact(
        kind="wheel",
        name=f"{wheel.name} {wheel.version}",
        filename=wheel.file,
        sha256=wheel.sha256,
        size=wheel.size,
        locate=partial(locator.locate, wheel),
    )


def python_artifact(archive: PythonArchive) -> Artifact:
    """Return a standalone Python as what the store holds."""

    def locate() -> Iterable[Address]:
        # the table of builds is a megabyte: only a file that is missing is worth it
        from envbuild.remote.python_builds import standalone_address  # noqa: PLC0415

        return (standalone_address(archive.path),)

    return Artifact(
        kind="python",
        name=archive.file.partition("+")[0].replace("-", " "),
        filename=archive.file,
        sha256=archive.sha256,
        size=archive.size,
        locate=locate,
    )


def _of_deb(deb: Deb, locator: DebLocator) -> Artifact:
    return Artifact(
        kind="deb",
        name=f"{deb.name} {deb.version}",
        filename=deb.file,
        sha256=deb.sha256,
        size=deb.size,
        locate=partial(locator.locate, deb),
        # as apt saves it, and as the archive names it, without the epoch
        other_names=(deb.file.replace(":", "%3a"), deb.path.rpartition("/")[2]),
    )
