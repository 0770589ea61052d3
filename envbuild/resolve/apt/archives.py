"""All that decides what apt can see: archives, the keys that sign them, and the machine packages are for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from envbuild.catalog.distributions import archive_of_suite, family_of_archive
from envbuild.digest import canonical_json
from envbuild.formats.apt_sources_list import AptSource, format_sources, parse_source_list
from envbuild.platforms import Platform, PlatformName
from envbuild.remote.apt import (
    AptSettings,
    Keyring,
    configured_keyring,
    distribution_keyrings,
    distribution_sources,
    family_keyrings,
    with_configured_mirrors,
)
from envbuild.remote.http import without_credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class AptArchives:
    """The archives that apt sees, the keys that sign them, and the architecture packages are for."""

    name: str
    """For people: ``debian:bookworm`` or an image reference."""

    architecture: str
    """Debian's name of it; any, whatever this machine is."""

    sources: tuple[AptSource, ...]
    keyrings: tuple[Keyring, ...] = ()

    snapshot: date | None = None
    """The day the sources are dated to, if they are."""

    image: str | None = None
    """The image whose archives these are, by digest, if its own apt can decide on them."""

    image_platform: PlatformName | None = None
    """What that image is for."""

    left_out: tuple[str, ...] = ()
    """Addresses of sources that are not read because there is no dated form of them."""

    def key(self) -> str:
        """Return a name for the folder that keeps the package lists of this view."""
        content = {
            "architecture": self.architecture,
            "sources": format_sources(self.sources),
            "keyrings": sorted(
                [keyring.path, hashlib.sha256(keyring.content).hexdigest()] for keyring in self.keyrings
            ),
        }
        return hashlib.sha256(canonical_json(content)).hexdigest()[:16]


def archives_of_distribution(
    name: str, *, platform: Platform, settings: AptSettings, snapshot: date | None
) -> AptArchives:
    """Return the archives of a distribution in the catalogue, on the mirrors this machine knows.

    :raises NetworkError: no mirror of it, or none of its keys, is known here.
    :raises SpecError: ``snapshot`` is given and no service of dated archives is configured.
    """
    return AptArchives(
        name=name,
        architecture=platform.debian,
        sources=distribution_sources(name, settings=settings, snapshot=snapshot),
        keyrings=distribution_keyrings(name, settings=settings),
        snapshot=snapshot,
    )


def archives_of_image(
    name: str,
    sources: Mapping[str, str],
    keyrings: Mapping[str, bytes],
    *,
    platform: Platform,
    settings: AptSettings,
    snapshot: date | None,
    image: str | None = None,
) -> AptArchives:
    """Return the archives an image base itself is configured with, through the mirrors of the environment.

    ``image`` is the image by digest; ``sources`` are its source lists and ``keyrings`` its keys, by the paths
    of the files.  To its own keys comes the one the environment names; where there is none at all, this
    machine's count, or those this release came with.

    :raises SpecError: ``snapshot`` is given and no service of dated archives is configured.
    """
    own = tuple(
        source
        for path, text in sources.items()
        for source in parse_source_list(text, name=path)
        if source.is_binary
    )
    read = with_configured_mirrors(own, settings=settings, snapshot=snapshot)
    archives = sorted({archive_of_suite(suite) or "" for source in own for suite in source.suites})
    keys = (
        *(Keyring(path=path, content=content) for path, content in keyrings.items()),
        *configured_keyring(settings),
    )
    if not keys:
        found = {key.path: key for name in archives for key in family_keyrings(family_of_archive(name))}
        keys = tuple(found.values())
    unknown = {
        without_credentials(uri)
        for source in own
        for uri in source.uris
        if snapshot and any(archive_of_suite(suite) is None for suite in source.suites)
    }
    return AptArchives(
        name=name,
        architecture=platform.debian,
        sources=read,
        keyrings=keys,
        snapshot=snapshot,
        image=image,
        image_platform=platform.name if image else None,
        left_out=tuple(sorted(unknown)),
    )
