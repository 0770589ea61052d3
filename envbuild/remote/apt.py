"""Which addresses Debian archives are reached at: the environment, a base's own source lists, this machine's.

A lock names archives (``debian``, ``debian-security``), never hosts; this module turns a name into addresses,
in the order they are to be tried.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from envbuild.catalog.distributions import (
    Distribution,
    Family,
    archive_of_suite,
    distributions,
    families,
    family_of_archive,
    shipped_keys,
)
from envbuild.errors import NetworkError, Problem, SpecError, UsageError
from envbuild.formats.apt_sources_list import AptSource, SourceListError, parse_source_list

MIRROR_VARIABLE = "ENVBUILD_APT_MIRROR"
"""Address of the main archive; with ``_<ARCHIVE>`` appended, of another, such as ``_DEBIAN_SECURITY``."""

SNAPSHOT_VARIABLE = "ENVBUILD_APT_SNAPSHOT"
KEYRING_VARIABLE = "ENVBUILD_APT_KEYRING"

ETC_APT = Path("/etc/apt")

SCHEMES = frozenset({"http", "https", "file"})
"""What a mirror's address may start with; apt knows more, but files of a lock are fetched by these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Public keys that archives are signed with."""

    path: str
    """Where the base, or this machine, has it: what ``Signed-By`` names."""

    content: bytes = field(repr=False)
    """OpenPGP keys, armoured or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AptSettings:
    """What this machine is configured with.  Addresses may hold credentials, so they do not show."""

    mirrors: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Address by the end of its variable's name: ``DEBIAN_SECURITY``; empty for the main archive."""

    snapshot: str | None = field(default=None, repr=False)
    """Address of a service of dated archives."""

    keyring: Path | None = None
    host: tuple[AptSource, ...] = field(default=(), repr=False)
    """The machine's own sources; empty where there is no apt."""

    def mirror(self, archive: str) -> str | None:
        """Return the address the environment gives for an archive, if any."""
        own = self.mirrors.get(_variable_part(archive))
        return own or (self.mirrors.get("") if _is_main(archive) else None)

    def snapshot_of(self, archive: str, day: date) -> str | None:
        """Return the address of an archive as it was when ``day`` began (UTC), if there is such a service."""
        if self.snapshot is None:
            return None
        return f"{self.snapshot}/archive/{archive}/{day:%Y%m%d}T000000Z"


def read_settings(environment: Mapping[str, str], *, etc: Path = ETC_APT) -> AptSettings:
    """Read the environment and the machine's source lists.

    :raises UsageError: a variable does not hold an address, or the keyring does not exist.
    """
    prefix = f"{MIRROR_VARIABLE}_"
    mirrors = {
        variable.removeprefix(MIRROR_VARIABLE).removeprefix("_"): _address(variable, value)
        for variable, value in environment.items()
        if (variable == MIRROR_VARIABLE or variable.startswith(prefix)) and value
    }
    snapshot = environment.get(SNAPSHOT_VARIABLE)
    keyring = environment.get(KEYRING_VARIABLE)
    if keyring and not Path(keyring).is_file():
        raise UsageError(f"{KEYRING_VARIABLE} names `{keyring}`, which is not a file")
    return AptSettings(
        mirrors=mirrors,
        snapshot=_address(SNAPSHOT_VARIABLE, snapshot) if snapshot else None,
        keyring=Path(keyring) if keyring else None,
        host=read_host_sources(etc),
    )


def read_host_sources(etc: Path = ETC_APT) -> tuple[AptSource, ...]:
    """Return the machine's own sources; lists that cannot be read, or not understood, do not count.

    apt itself complains about those; here they are only one of several places to learn a mirror from.
    """
    found: list[AptSource] = []
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for file in files:
        if file.suffix not in {".list", ".sources"}:
            continue
        try:
            found += parse_source_list(file.read_text(encoding="utf-8", errors="replace"), name=file.name)
        except (OSError, SourceListError):
            continue
    return tuple(found)


def archive_addresses(
    archive: str,
    *,
    settings: AptSettings,
    base_sources: Iterable[AptSource] = (),
    day: date | None = None,
) -> tuple[str, ...]:
    """Return base addresses to which a ``Deb.path`` of ``archive`` is appended (``/`` between), best first.

    The environment's, the base's own, this machine's, then those of base sources whose archive cannot be told
    from the suite, then the dated archive of ``day``.  Contents are checked by digest, so a wrong address
    costs one request.
    """
    base = tuple(base_sources)
    found = [
        settings.mirror(archive),
        *_addresses(base, archive),
        *_addresses(settings.host, archive),
        *_addresses(base, None),
        settings.snapshot_of(archive, day) if day else None,
    ]
    return tuple(dict.fromkeys(address for address in found if address))


def with_configured_mirrors(
    sources: Iterable[AptSource], *, settings: AptSettings, snapshot: date | None
) -> tuple[AptSource, ...]:
    """Return a base's ``sources`` as they are to be read: through the environment's mirrors, or dated.

    With a ``snapshot``, sources whose archive is unknown are left out: what is not dated must not stay live.

    :raises SpecError: a snapshot is asked for and no service of dated archives is configured.
    """
    if snapshot:
        require_snapshot_service(settings)
    found = []
    for source in _by_archive(source for source in sources if source.is_binary):
        archive = archive_of_suite(source.suites[0])
        if snapshot:
            address = settings.snapshot_of(archive, snapshot) if archive else None
            if address:
                found.append(_dated(source, address))
            continue
        address = settings.mirror(archive) if archive else None
        found.append(replace(source, uris=(address,)) if address else source)
    return tuple(dict.fromkeys(found))


def distribution_sources(name: str, *, settings: AptSettings, snapshot: date | None) -> tuple[AptSource, ...]:
    """Return the sources of a distribution in the catalogue, on the mirrors this machine knows.

    Every suite of the catalogue is read, whatever subset this machine itself uses: two machines must see the
    same packages.

    :raises NetworkError: no mirror of one of its archives is configured.
    :raises SpecError: as :func:`with_configured_mirrors`.
    """
    if snapshot:
        require_snapshot_service(settings)
    distribution = distributions()[name]
    missing: list[Problem] = []
    found = []
    for archive, suites in _suites_by_archive(distribution).items():
        dated = settings.snapshot_of(archive, snapshot) if snapshot else None
        address = dated or next(iter(archive_addresses(archive, settings=settings)), None)
        if address is None:
            message = f"not set, and this machine has no source of `{archive}`"
            missing.append(Problem(_variable(archive), message))
            continue
        source = AptSource(uris=(address,), suites=suites, components=distribution.components)
        found.append(_dated(source, address) if dated else source)
    if missing:
        raise NetworkError(
            f"no mirror of {name} is configured",
            problems=missing,
            hint=f"set {' and '.join(problem.where for problem in missing)} to the address of a mirror",
        )
    return tuple(found)


def distribution_keyrings(name: str, *, settings: AptSettings) -> tuple[Keyring, ...]:
    """Return the keys a distribution is signed with: the environment's, or those of its keyring package.

    Where that package is not installed, the keys that this release came with.

    :raises NetworkError: there are none on this machine.
    """
    found = configured_keyring(settings) or family_keyrings(families()[distributions()[name].family])
    if not found:
        package = families()[distributions()[name].family].keyring_package
        raise NetworkError(
            f"the keys that sign {name} are not on this machine",
            hint=f"install `{package}`, or name a keyring file in {KEYRING_VARIABLE}",
        )
    return found


def configured_keyring(settings: AptSettings) -> tuple[Keyring, ...]:
    """Return the keyring the environment names; empty when it names none."""
    path = settings.keyring
    return (Keyring(path=str(path), content=path.read_bytes()),) if path else ()


def family_keyrings(family: Family | None) -> tuple[Keyring, ...]:
    """Return the keys a family's keyring package put on this machine, else those this release came with."""
    if family is None:
        return ()
    for path in map(Path, family.keyrings):
        if path.is_file():
            return (Keyring(path=str(path), content=path.read_bytes()),)
    shipped = shipped_keys(family)
    return () if shipped is None else (Keyring(path=family.keyrings[0], content=shipped),)


def require_snapshot_service(settings: AptSettings) -> None:
    """Make sure dated archives can be asked for.  :raises SpecError: no service of them is configured."""
    if settings.snapshot is None:
        message = "system packages as of a day need a service of dated archives, and none is configured"
        hint = f"set {SNAPSHOT_VARIABLE} to its address (it must serve archive/<name>/<YYYYMMDD>T000000Z/)"
        raise SpecError(message, problems=(Problem("snapshot", message, hint),), hint=hint)


def _dated(source: AptSource, address: str) -> AptSource:
    # a dated Release file is past its Valid-Until by nature
    options = dict(source.options) | {"Check-Valid-Until": "no"}
    return replace(source, uris=(address,), options=tuple(sorted(options.items())))


def _addresses(sources: Iterable[AptSource], archive: str | None) -> Iterator[str]:
    for source in _by_archive(sources):
        belongs = archive_of_suite(source.suites[0]) == archive
        if source.is_binary and belongs and _is_official(source, archive):
            yield from (uri.rstrip("/") for uri in source.uris if urlsplit(uri).scheme in SCHEMES)


def _is_official(source: AptSource, archive: str | None) -> bool:
    """Whether a source of a known suite is the distribution's own: others use its code names as suites too.

    Third parties bring keys of their own (``Signed-By``); the distribution's are in its keyring package.
    """
    family = family_of_archive(archive) if archive else None
    key = source.signed_by.strip()
    if family is None or not key.startswith("/"):
        return True
    return Path(key).name.startswith(f"{family.keyring_package}.")


def _by_archive(sources: Iterable[AptSource]) -> Iterator[AptSource]:
    """Yield the sources so that each one's suites belong to one archive."""
    for source in sources:
        suites: dict[str | None, tuple[str, ...]] = {}
        for suite in source.suites:
            archive = archive_of_suite(suite)
            suites[archive] = (*suites.get(archive, ()), suite)
        yield from (replace(source, suites=group) for group in suites.values())


def _suites_by_archive(distribution: Distribution) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for suite in distribution.suites:
        archive = archive_of_suite(suite)
        if archive is None:
            raise ValueError(f"suite {suite} of the catalogue belongs to no archive")
        found[archive] = (*found.get(archive, ()), suite)
    return found


def _is_main(archive: str) -> bool:
    """Whether this is the archive releases themselves are in, the first of its family."""
    return any(next(iter(family.archives)) == archive for family in families().values())


def _variable(archive: str) -> str:
    return MIRROR_VARIABLE if _is_main(archive) else f"{MIRROR_VARIABLE}_{_variable_part(archive)}"


def _variable_part(archive: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", archive.upper())


def _address(variable: str, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in SCHEMES or not (parts.netloc or parts.scheme == "file"):
        raise UsageError(
            f"{variable} is not an address", hint="it must start with http://, https:// or file://"
        )
    return value.rstrip("/")
