"""Debian packages of a lock that have newer versions in the archives, in apt's own words."""

from collections.abc import Iterable, Iterator

from debian.debian_support import Version

from envbuild.lock.model import Deb
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.apt.policy import PackagePolicy, is_newer, parse_policy
from envbuild.resolve.outdated.model import PackageUpdate


def deb_updates(
    apt: Apt, archives: AptArchives, debs: Iterable[Deb], *, asked: Iterable[str] = ()
) -> tuple[PackageUpdate, ...]:
    """Return what apt says of ``debs``, all in one run.

    ``asked`` are the packages of the spec: one that is asked for as ``name=version`` stays at that version.

    :raises NetworkError, IntegrityError, ToolMissingError: see :meth:`Apt.session`.
    """
    locked = tuple(debs)
    if not locked:
        return ()
    with apt.session(archives) as session:
        policies = parse_policy(session.policy(sorted({deb.name for deb in locked})), session.repositories())
    held = dict(text.split("=", 1) for text in asked if "=" in text)
    return tuple(_updates(locked, policies, held))


def _updates(
    locked: Iterable[Deb], policies: dict[str, PackagePolicy], held: dict[str, str]
) -> Iterator[PackageUpdate]:
    for deb in locked:
        policy = policies.get(deb.name)
        if policy is None or not policy.versions:
            yield PackageUpdate(
                kind="deb", name=deb.name, locked=deb.version, notes=("the archives no longer have it",)
            )
            continue
        candidate = policy.candidate
        # what is locked may be newer: of an archive that was rolled back, or of one that is gone
        allowed = candidate if candidate and is_newer(candidate, deb.version) else deb.version
        newest = max(policy.versions, key=lambda item: Version(item.version))
        notes = []
        if deb.name in held:
            notes.append(f"the spec asks for {deb.name}={held[deb.name]}")
        elif is_newer(newest.version, allowed):
            notes.append(f"{newest.version} is in {', '.join(newest.suites)}, which apt does not prefer")
        yield PackageUpdate(
            kind="deb",
            name=deb.name,
            locked=deb.version,
            allowed=held.get(deb.name, allowed),
            newest=newest.version if is_newer(newest.version, deb.version) else deb.version,
            security=policy.security_update(deb.version),
            notes=tuple(notes),
        )
