"""What ``apt-cache policy`` prints, as values: apt's candidate of each package, and what the archives have.

Pure: text in, values out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from debian.debian_support import Version

from envbuild.resolve.apt.output import Repository

_PACKAGE = re.compile(r"^(?P<name>[^\s:]+(?::[a-z0-9-]+)?):$")
_CANDIDATE = re.compile(r"^  Candidate: (?P<version>\S+)")
_VERSION = re.compile(r"^ (?:\*\*\*|   ) (?P<version>\S+) -?\d+(?: \(phased \d+%\))?$")
_OFFER = re.compile(r"^ +-?\d+ (?P<address>\S+:\S+) (?P<suite>\S+)(?: .*)?$")
_NONE = "(none)"

_SECURITY_SUITES = ("-security", "/updates")
"""How suites of security updates end; the second before Debian 11."""

_SECURITY_LABEL = "-security"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedVersion:
    """One version of a package that the archives have."""

    version: str
    suites: tuple[str, ...]
    """Suites that have it, in apt's order: ``bookworm``, ``bookworm-security``."""

    is_security: bool
    """Whether an archive or suite of security updates has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePolicy:
    """What apt says of one package."""

    name: str
    candidate: str | None
    """The version apt would install; None: none."""

    versions: tuple[OfferedVersion, ...]
    """In apt's order, the newest first."""

    def security_update(self, locked: str) -> str | None:
        """Return the newest security update that is newer than ``locked`` and not than the candidate."""
        if self.candidate is None:
            return None
        fixed = [
            item.version
            for item in self.versions
            if item.is_security
            and is_newer(item.version, locked)
            and not is_newer(item.version, self.candidate)
        ]
        return max(fixed, key=Version, default=None)


def is_newer(version: str, than: str) -> bool:
    """Return whether a Debian version is newer than another (Policy 5.6.12)."""
    return bool(Version(version) > Version(than))


def parse_policy(text: str, repositories: Iterable[Repository]) -> dict[str, PackagePolicy]:
    """Return what apt says of each package, by name; ``repositories`` say who an address belongs to."""
    secure = {item.address for item in repositories if item.label.lower().endswith(_SECURITY_LABEL)}
    found: dict[str, PackagePolicy] = {}
    name, candidate = "", None
    versions: list[tuple[str, list[str], list[bool]]] = []

    def finish() -> None:
        if name:
            found[name] = PackagePolicy(
                name=name,
                candidate=candidate,
                versions=tuple(
                    OfferedVersion(
                        version=version, suites=tuple(dict.fromkeys(suites)), is_security=any(marks)
                    )
                    for version, suites, marks in versions
                    if suites
                ),
            )

    for line in text.splitlines():
        if match := _PACKAGE.match(line):
            finish()
            name, candidate, versions = match["name"], None, []
        elif match := _CANDIDATE.match(line):
            candidate = None if match["version"] == _NONE else match["version"]
        elif match := _VERSION.match(line):
            versions.append((match["version"], [], []))
        elif versions and (match := _OFFER.match(line)):
            # a suite and its component; of a flat repository its folder
            suite = match["suite"].rpartition("/")[0] or match["suite"]
            versions[-1][1].append(suite)
            versions[-1][2].append(
                suite.endswith(_SECURITY_SUITES) or f"{match['address'].rstrip('/')}/" in secure
            )
    finish()
    return found
