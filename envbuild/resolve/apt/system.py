"""Which packages are laid on a base: apt's answer, as packages of the lock.

Nothing of the base is removed or replaced by something older.  Where a wanted package needs a newer
version of one the base has (``perl`` of a point release later needs its ``perl-base``), that one is in the
result too, and the user is told.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from envbuild.cache.notes import read_note, try_note
from envbuild.digest import canonical_json, sha256_bytes
from envbuild.formats.dpkg_status import InstalledPackage, installed_packages, provided_names
from envbuild.lock.model import Deb
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
        if isinstance(installed, str):
            session.set_installed(installed)
        else:
            records = session.records(f"{deb.name}={deb.version}" for deb in installed)
            session.set_installed(status_of_debs(installed, records))
        debs = install(
            session,
            asked,
            wanted,
            pins={deb.name: deb.version for deb in upgrade.kept(previous)},
            present=present,
        )
    for deb in debs:
        before = present.get(deb.name)
        if before:
            apt.progress.on_note(
                f"`{deb.name}` of the base is upgraded from {before.version} to {deb.version}: "
                "a package that was asked for needs it"
            )
    return debs


def remembered_system(
    apt: Apt,
    archives: AptArchives,
    packages: Iterable[str],
    *,
    installed: str | tuple[Deb, ...],
    keep: Iterable[Deb],
    folder: Path,
) -> tuple[Deb, ...]:
    """Return what :func:`resolve_system` does; from ``folder`` where apt was asked the same before.

    ``keep`` are packages whose versions stay while the archives have them.

    :raises SpecError, NoSolutionError, NetworkError, IntegrityError, ToolMissingError: as that function.
    """
    asked, kept = sorted(set(packages)), tuple(keep)
    with apt.session(archives) as session:
        state = session.state()
    present = installed if isinstance(installed, str) else sorted(deb.sha256 for deb in installed)
    question = [archives.key(), state, apt.version(), asked, present, sorted(deb.sha256 for deb in kept)]
    name = sha256_bytes(canonical_json(question))
    note = folder / name[:2] / f"{name}.json"
    known = read_note(note, lambda document: tuple(Deb.model_validate(item) for item in document["debs"]))
    if known is None:
        known = resolve_system(apt, archives, asked, installed=installed, previous=kept)
        try_note(note, {"debs": [deb.model_dump(mode="json", by_alias=True) for deb in known]})
    return known


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
