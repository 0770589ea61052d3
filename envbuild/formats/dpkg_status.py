"""dpkg's status file (dpkg(1)): which packages are installed."""

from collections.abc import Iterator
from dataclasses import dataclass

from envbuild.formats.deb822 import stanzas


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPackage:
    """One package of a dpkg status."""

    name: str
    version: str
    architecture: str
    provides: tuple[str, ...] = ()
    """Names only."""


def installed_packages(status: str) -> Iterator[InstalledPackage]:
    """Yield what a dpkg status says is installed; removed packages that left configuration are not."""
    for fields in stanzas(status):
        # the third word: desired state, error flag, then what is really so (dpkg(1))
        if fields.get("Status", "").split()[-1:] != ["installed"]:
            continue
        yield InstalledPackage(
            name=fields["Package"],
            version=fields.get("Version", ""),
            architecture=fields.get("Architecture", ""),
            provides=provided_names(fields.get("Provides", "")),
        )


def provided_names(value: str) -> tuple[str, ...]:
    """Return the names in a ``Provides`` field, without versions and architecture qualifiers."""
    parts = (part.split("(")[0].strip().partition(":")[0] for part in value.split(","))
    return tuple(part for part in parts if part)
