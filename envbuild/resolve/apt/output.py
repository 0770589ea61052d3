"""What apt's programs print, as values.  Pure: text in, values out."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from envbuild.errors import IntegrityError

_URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) (?P<hash>\S*)$", re.MULTILINE)
_SHA256 = re.compile(r"SHA256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One line of ``apt-get --print-uris``: a package that would be installed."""

    uri: str
    """Percent-decoded."""

    name: str
    version: str
    architecture: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One line of ``apt-get indextargets``: an archive's address and what its Release file calls it."""

    address: str
    """Percent-decoded, with a slash at its end."""

    label: str
    origin: str


REPOSITORY_FORMAT = "$(REPO_URI)\t$(LABEL)\t$(ORIGIN)"


def parse_downloads(text: str) -> tuple[Download, ...]:
    """Read what ``apt-get install --print-uris`` says would be fetched, in its order."""
    found = []
    for match in _URI_LINE.finditer(text):
        name, version, architecture = unquote(match["file"]).removesuffix(".deb").rsplit("_", 2)
        digest = _SHA256.fullmatch(match["hash"])
        found.append(
            Download(
                uri=unquote(match["uri"]),
                name=name,
                version=version,
                architecture=architecture,
                size=int(match["size"]),
                sha256=digest[1] if digest else None,
            )
        )
    return tuple(found)


def parse_repositories(text: str) -> tuple[Repository, ...]:
    """Read lines of :data:`REPOSITORY_FORMAT`, each once; apt leaves what it does not know as it was."""
    found = set()
    for line in text.splitlines():
        fields = ["" if value.startswith("$(") else value for value in line.split("\t")]
        address, label, origin = (*fields, "", "")[:3]
        if address:
            found.add((f"{unquote(address).rstrip('/')}/", label, origin))
    return tuple(Repository(address=a, label=b, origin=c) for a, b, c in sorted(found))


def parse_release_date(fields: Mapping[str, str]) -> datetime:
    """Return the ``Date`` of a Release file, UTC.  :raises IntegrityError: it has none that can be read."""
    try:
        return parsedate_to_datetime(fields["Date"]).astimezone(UTC)
    except (KeyError, ValueError) as error:
        raise IntegrityError("a Release file of the archive has no valid `Date`") from error


def relations(value: str) -> tuple[str, ...]:
    """Return the parts of a relation field (``Depends``), each with white space made single."""
    return tuple(" ".join(part.split()) for part in value.split(",") if part.strip())


_SECTION = re.compile(r"^The following packages have unmet dependencies:\n((?:[ ].*\n?)+)", re.MULTILINE)
_VIRTUAL = re.compile(r"^Package (\S+) is a virtual package provided by:\n((?:[ ].*\n?)+)", re.MULTILINE)
_REMOVED = re.compile(r"^The following packages will be REMOVED:\n((?:[ ].*\n?)+)", re.MULTILINE)
_DOWNGRADED = re.compile(r"^The following packages will be DOWNGRADED:\n((?:[ ].*\n?)+)", re.MULTILINE)
_UNKNOWN = re.compile(r"^E: Unable to locate package (\S+)$", re.MULTILINE)
_NO_VERSION = re.compile(r"^E: Version '(?:[^']*)' for '([^']+)' was not found$", re.MULTILINE)
_NO_CANDIDATE = re.compile(r"^E: Package '?([^' ]+)'? has no installation candidate$", re.MULTILINE)


def unmet_dependencies(text: str) -> tuple[str, ...]:
    """Return apt's lines on what cannot be fulfilled; indented ones continue the package above them."""
    match = _SECTION.search(text)
    return tuple(line[1:].rstrip() for line in match[1].splitlines()) if match else ()


def providers(text: str) -> dict[str, tuple[str, ...]]:
    """Return, for each virtual package apt refused to choose for, the names of those that provide it."""
    return {name: tuple(sorted(_first_words(lines))) for name, lines in _VIRTUAL.findall(text)}


def _first_words(lines: str) -> Iterator[str]:
    for line in lines.splitlines():
        # continuation lines tell, in brackets, about the provider above them
        if line.strip() and not line.strip().startswith(("[", "(")):
            yield line.split()[0]


def removed_packages(text: str) -> tuple[str, ...]:
    """Return what apt would have to remove; a mark such as ``*`` for a purge is dropped."""
    return tuple(word.rstrip("*") for lines in _REMOVED.findall(text) for word in lines.split())


def downgraded_packages(text: str) -> tuple[str, ...]:
    """Return what apt would have to replace by an older version."""
    return tuple(word for lines in _DOWNGRADED.findall(text) for word in lines.split())


def unknown_packages(errors: str) -> frozenset[str]:
    """Return the names that no archive knows."""
    return frozenset(_UNKNOWN.findall(errors))


def packages_without_version(errors: str) -> frozenset[str]:
    """Return the names that exist, but not in the version that was asked for."""
    return frozenset(_NO_VERSION.findall(errors))


def packages_without_candidate(errors: str) -> frozenset[str]:
    """Return the names that are only provided, or only referred to, by others."""
    return frozenset(_NO_CANDIDATE.findall(errors))
