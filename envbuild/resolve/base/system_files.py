"""The few system files a base is described by, read from their text.  Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from envbuild.formats.deb822 import stanzas
from envbuild.lock.model import OsRelease

SHOWN_UIDS_FROM: Final = 1000
NOBODY: Final = 65534

# set apart by what is done next, not by what is on the disk: the files of all of these are there
_INSTALLED = frozenset({"installed", "triggers-awaited", "triggers-pending"})
_PASSWD_FIELDS: Final = 7
_UPSTREAM = re.compile(r"(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)*)")
_FILTER = re.compile(r"\s*path-(exclude|include)(?:\s*=\s*|\s+)(.+?)\s*")
_ESCAPED = re.compile(r"\\([\"'$`\\])")
_SIGNED_BY = re.compile(r"signed-by\s*[=:]\s*([^\s\]]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledDeb:
    """One package dpkg has installed."""

    name: str
    version: str
    architecture: str

    @property
    def key(self) -> str:
        """``name=version:architecture``."""
        return f"{self.name}={self.version}:{self.architecture}"


def parse_os_release(text: str) -> OsRelease:
    """Read os-release(5), its documented defaults filled in."""
    fields = dict(_assignments(text))
    return OsRelease(
        id=fields.get("ID") or "linux",
        version_id=fields.get("VERSION_ID") or None,
        codename=fields.get("VERSION_CODENAME") or None,
        pretty_name=fields.get("PRETTY_NAME") or "Linux",
    )


def parse_passwd(text: str) -> dict[str, str]:
    """Return ``uid:gid`` by name, sorted: root and the accounts above the system's, without ``nobody``."""
    users = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) < _PASSWD_FIELDS or not (fields[2].isdecimal() and fields[3].isdecimal()):
            continue
        uid = int(fields[2])
        if uid == 0 or (uid >= SHOWN_UIDS_FROM and uid != NOBODY):
            users[fields[0]] = f"{uid}:{int(fields[3])}"
    return dict(sorted(users.items()))


def parse_status(text: str) -> tuple[InstalledDeb, ...]:
    """Return the packages a dpkg status says are installed, sorted.

    Stanzas without a ``Status`` count: distroless images keep them so, one file each.
    """
    found = []
    for fields in stanzas(text):
        status = fields.get("Status", "install ok installed").split()
        if "Package" in fields and "Version" in fields and status[-1:] and status[-1] in _INSTALLED:
            found.append(
                InstalledDeb(
                    name=fields["Package"],
                    version=fields["Version"],
                    architecture=fields.get("Architecture", "all"),
                )
            )
    return tuple(sorted(found, key=lambda deb: deb.key))


def upstream_version(version: str) -> str | None:
    """Return the leading numbers of a Debian version: ``3.11.2`` of ``3.11.2-6+deb12u3``."""
    match = _UPSTREAM.match(version)
    return match[1] if match else None


def parse_path_filters(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return dpkg's ``path-exclude`` (``-pattern``) and ``path-include`` (``+pattern``) rules, in order.

    ``texts`` are its configuration files by name, in the order dpkg reads them.
    """
    return tuple(
        ("-" if match[1] == "exclude" else "+") + match[2].strip("\"'")
        for text in texts.values()
        for line in text.splitlines()
        if (match := _FILTER.fullmatch(line))
    )


def keyring_paths(source_list: str) -> tuple[str, ...]:
    """Return the keyring files that source lists of either form name, sorted."""
    named = {path for value in _SIGNED_BY.findall(source_list) for path in value.split(",")}
    return tuple(sorted(path for path in named if path.startswith("/")))


def musl_version(apk_installed: str) -> str | None:
    """Return ``major.minor`` of musl, from what Alpine's package manager has installed."""
    match = re.search(r"^P:musl\nV:([0-9]+\.[0-9]+)", apk_installed, re.MULTILINE)
    return match[1] if match else None


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        if value[:1] in {'"', "'"} and len(value) > 1 and value[-1] == value[0]:
            value = value[1:-1]
        yield name, _ESCAPED.sub(r"\1", value)
