"""Which packages are laid on a base: apt's answer, as packages of the lock.

Nothing of the base is removed or replaced by something older.  Where a wanted package needs a newer
version of one the base has (``perl`` of a point release later needs its ``perl-base``), that one is in the
result too, and the user is told.
"""

from collections.abc import Iterable, Mapping

from envbuild.formats.dpkg_status import InstalledPackage, installed_packages, provided_names
from envbuild.lock.model import Deb
from envbuild.resolve.apt.answers import plain_debs, remembered
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.client import Apt, AptSession
from envbuild.resolve.apt.debs import compose_debs
from envbuild.resolve.apt.no_solution import no_solution, unknown_error, unknown_problem
from envbuild.resolve.apt.output import parse_downloads
from envbuild.resolve.apt.requests import AskedPackages, PackageRequest, parse_requests
from envbuild.resolve.apt.status import status_of_debs
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade

PIN_PRIORITY = 990
"""Above any archive's (500), below 1000, from which on apt would downgrade: apt_preferences(5)."""


def resolve_system(
    apt: Apt,
    archives: AptArchives,
    packages: Iterable[str],
    *,
    installed: str | tuple[Deb, ...],
    previous: Iterable[Deb] = (),
    upgrade: Upgrade = NO_UPGRADE,
    fields: Mapping[str, str] | None = None,
) -> tuple[Deb, ...]:
    """Return the packages to add to a base so that it has ``packages``, sorted by key.

    ``installed`` is the dpkg status of an image base, or the packages a bootstrapped base consists of.  What
    the base has is not in the result, except for newer versions that others need.  Versions of ``previous``
    are kept while the archives have them, unless ``upgrade`` gives them up.

    :raises SpecError: a request cannot be read.
    :raises NoSolutionError: unknown packages, all at once, with near names; or apt's reasons.
    :raises NetworkError, IntegrityError, ToolMissingError: see :meth:`Apt.session`.
    """
    asked = parse_requests(packages, fields=fields)
    present = _present(installed)
    wanted = tuple(request for request in asked.requests if not _is_there(request, present))
    if not wanted:
        return ()
    for address in archives.left_out:
        apt.progress.on_note(
            f"packages of {address} are not considered: it has no archive of {archives.snapshot}"
        )
    with apt.session(archives) as session:
        apt.progress.on_stage(f"system packages on {archives.name} for {archives.architecture}")
        pins = {deb.name: deb.version for deb in upgrade.kept(previous)}
        there = installed if isinstance(installed, str) else plain_debs(installed)
        debs = remembered(
            session,
            ["system", sorted(map(str, wanted)), there, pins],
            lambda: _resolve(session, asked, wanted, installed=installed, pins=pins, present=present),
        )
    for deb in debs:
        before = present.get(deb.name)
        if before:
            apt.progress.on_note(
                f"`{deb.name}` of the base is upgraded from {before.version} to {deb.version}: "
                "a package that was asked for needs it"
            )
    return debs


def _resolve(
    session: AptSession,
    asked: AskedPackages,
    wanted: tuple[PackageRequest, ...],
    *,
    installed: str | tuple[Deb, ...],
    pins: Mapping[str, str],
    present: Mapping[str, InstalledPackage],
) -> tuple[Deb, ...]:
    if isinstance(installed, str):
        session.set_installed(installed)
    else:
        records = session.records(f"{deb.name}={deb.version}" for deb in installed)
        session.set_installed(status_of_debs(installed, records))
    return install(session, asked, wanted, pins=pins, present=present)


def install(
    session: AptSession,
    asked: AskedPackages,
    wanted: tuple[PackageRequest, ...],
    *,
    pins: Mapping[str, str],
    present: Mapping[str, InstalledPackage],
    patterns: Iterable[str] = (),
) -> tuple[Deb, ...]:
    """Return what apt would install for ``wanted`` and ``patterns`` in a session whose base is set.

    ``pins`` are preferred versions by name.  They give way when nothing can be found with them: a package
    kept back can stand in the way of another whose old version has left the archive.

    :raises NoSolutionError: see :func:`resolve_system`.
    """
    arguments = (*sorted(patterns), *map(str, wanted))
    explicit = {request.name for request in wanted if request.version}
    kept = {name: version for name, version in pins.items() if name not in explicit}
    session.set_pins(preferences(kept))
    plan = session.plan_install(arguments)
    if not plan.succeeded and kept:
        session.set_pins("")
        plan = session.plan_install(arguments)
    if not plan.succeeded:
        raise no_solution(plan, session, asked, present)
    downloads = parse_downloads(plan.stdout)
    records = session.records(f"{item.name}={item.version}" for item in downloads)
    debs = compose_debs(downloads, records, session.repositories())
    missing = _missing(wanted, debs, present)
    if missing:
        raise unknown_error(session, [unknown_problem(session, asked, name) for name in missing])
    return debs


def preferences(pins: Mapping[str, str]) -> str:
    """Return the text of apt preferences that prefer one version of each package."""
    return "\n".join(
        f"Package: {name}\nPin: version {version}\nPin-Priority: {PIN_PRIORITY}\n"
        for name, version in sorted(pins.items())
    )


def _present(installed: str | tuple[Deb, ...]) -> dict[str, InstalledPackage]:
    if isinstance(installed, str):
        return {package.name: package for package in installed_packages(installed)}
    return {
        deb.name: InstalledPackage(
            name=deb.name,
            version=deb.version,
            architecture=deb.architecture,
            provides=provided_names(",".join(deb.provides)),
        )
        for deb in installed
    }


def _is_there(request: PackageRequest, present: Mapping[str, InstalledPackage]) -> bool:
    package = present.get(request.name)
    return package is not None and request.version in {None, package.version}


def _missing(
    wanted: Iterable[PackageRequest], debs: Iterable[Deb], present: Mapping[str, InstalledPackage]
) -> list[str]:
    """Return requests apt did not take for a name: ``git+`` is ``git`` to it when there is no other."""
    had = set(present)
    for package in present.values():
        had.update(package.provides)
    for deb in debs:
        had |= {deb.name, *provided_names(",".join(deb.provides))}
    return [request.name for request in wanted if request.name not in had]
