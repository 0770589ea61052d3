"""Bases bootstrapped from a distribution's packages: no registry, no image, every file locked by sha256."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from envbuild.catalog.distributions import Distribution, distributions
from envbuild.errors import IntegrityError, SpecError
from envbuild.lock.model import Base, Deb, Interpreter, Libc, OsRelease, PackagesSource
from envbuild.platforms import DEFAULT_PATH, Platform
from envbuild.remote.apt import AptSettings
from envbuild.resolve.apt.answers import remembered
from envbuild.resolve.apt.archives import AptArchives, archives_of_distribution
from envbuild.resolve.apt.client import Apt, AptSession
from envbuild.resolve.apt.requests import AskedPackages, PackageRequest
from envbuild.resolve.apt.system import install
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade

_PYTHON_PACKAGE = re.compile(r"python3\.(\d+)")
_UPSTREAM = re.compile(r"(?:\d+:)?(\d+(?:\.\d+)*)")
"""The leading numbers of a Debian version, without epoch, revision and pre-release marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesBase:
    """A base that is not installed anywhere yet."""

    base: Base
    debs: tuple[Deb, ...]
    interpreter: Interpreter

    archives: AptArchives
    """The archives it came from: where packages to lay on it come from too."""


def resolve_packages_base(
    apt: Apt,
    name: str,
    *,
    python: str,
    platform: Platform,
    settings: AptSettings,
    snapshot: date | None = None,
    previous: Iterable[Deb] = (),
    upgrade: Upgrade = NO_UPGRADE,
) -> PackagesBase:
    """Resolve distribution ``name`` (``debian:bookworm``) with its Python ``python``, on an empty system.

    Versions of ``previous`` are kept while the archives have them, unless ``upgrade`` gives them up.

    :raises SpecError: the distribution is unknown, or does not have that Python, or ``snapshot`` is given and
        no service of dated archives is configured.
    :raises NoSolutionError, NetworkError, IntegrityError, ToolMissingError: as ``resolve_system``.
    """
    distribution, package = _distribution(name), _python_package(python)
    archives = archives_of_distribution(name, platform=platform, settings=settings, snapshot=snapshot)
    with apt.session(archives) as session:
        apt.progress.on_stage(f"packages of {name} for {platform.debian}")
        pins = {deb.name: deb.version for deb in upgrade.kept(previous)}
        debs = remembered(
            session,
            ["base", name, sorted(distribution.packages), package, pins],
            lambda: _install(session, distribution, name, python, pins=pins),
        )
        created = session.release_date(distribution.suites[0])
    by_name = {deb.name: deb for deb in debs}
    return PackagesBase(
        base=_base(name, distribution, platform, by_name, created),
        debs=debs,
        interpreter=_interpreter(name, by_name, package, python),
        archives=archives,
    )


def _distribution(name: str) -> Distribution:
    known = distributions()
    if name not in known:
        choice = " or ".join(f"`{other}`" for other in sorted(known))
        raise SpecError.at("base.packages", f"`{name}` cannot be bootstrapped", f"write {choice}")
    return known[name]


def _install(
    session: AptSession, distribution: Distribution, name: str, python: str, *, pins: Mapping[str, str]
) -> tuple[Deb, ...]:
    """Return the packages of the base.  :raises SpecError: the distribution does not have that Python."""
    _require_python(session, name, python)
    package = _python_package(python)
    patterns = [entry for entry in distribution.packages if entry.startswith(("?", "~"))]
    names = {entry for entry in distribution.packages if entry not in patterns}
    names |= {package} | _default_python(session, package)
    requests = tuple(PackageRequest(entry) for entry in sorted(names))
    asked = AskedPackages(requests, dict.fromkeys(names, "base.packages"))
    return install(session, asked, requests, pins=pins, present={}, patterns=patterns)


def _python_package(python: str) -> str:
    """Return the package of a Python.  Patch releases come later."""
    return f"python{'.'.join(python.split('.')[:2])}"


def _require_python(session: AptSession, distribution: str, python: str) -> None:
    """Make sure that the distribution has a Python.  :raises SpecError: it has not."""
    offered = sorted(
        int(match[1]) for name in session.names("python3.") if (match := _PYTHON_PACKAGE.fullmatch(name))
    )
    if _python_package(python) not in {f"python3.{number}" for number in offered}:
        has = " and ".join(f"Python 3.{number}" for number in offered) or "no Python 3"
        raise _no_python(f"{distribution} has {has}, not {python}")


def _default_python(session: AptSession, package: str) -> set[str]:
    """Return the package that makes ``python3`` mean ``package``, when that is the distribution's choice."""
    for fields in session.records(["python3"]):
        if any(part.split()[0] == package for part in fields.get("Depends", "").split(",") if part.strip()):
            return {"python3"}
    return set()


def _base(
    name: str, distribution: Distribution, platform: Platform, debs: dict[str, Deb], created: datetime
) -> Base:
    facts = distribution.os
    return Base(
        key=f"{name} {platform.name}",
        platform=platform.name,
        packages=PackagesSource(distribution=name, debs=tuple(sorted(deb.file for deb in debs.values()))),
        created=created,
        os=OsRelease(
            id=facts.id,
            version_id=facts.version_id,
            codename=facts.codename,
            pretty_name=facts.pretty_name,
        ),
        libc=Libc(family="glibc", version=".".join(_upstream(debs, "libc6").split(".")[:2])),
        env={"LANG": "C.UTF-8", "PATH": DEFAULT_PATH},
        users={"root": "0:0"},
    )


def _interpreter(name: str, debs: dict[str, Deb], package: str, python: str) -> Interpreter:
    provider = f"{package}-minimal"
    version = _upstream(debs, provider)
    if python.count(".") > 1 and python != version:
        raise _no_python(f"{name} has Python {version}, not {python}")
    return Interpreter(version=version, path=f"/usr/bin/{package}", provider=f"deb {provider}")


def _no_python(message: str) -> SpecError:
    return SpecError.at("python", message, "write the Python it has, or choose a base by [base] image")


def _upstream(debs: dict[str, Deb], name: str) -> str:
    match = _UPSTREAM.match(debs[name].version) if name in debs else None
    if match is None:
        raise IntegrityError(f"the distribution's `{name}` is missing, or has no version that can be read")
    return match[1]
