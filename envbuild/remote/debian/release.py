"""Release files: what an archive signs of itself, and of each list of packages.  Text in, values out.

See https://wiki.debian.org/DebianRepository/Format and apt-secure(8).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from envbuild.errors import IntegrityError, NetworkError
from envbuild.formats.deb822 import stanzas

FUTURE_SECONDS = 10
"""How far ahead a Release file may be dated; apt's own default of ``Acquire::Max-FutureTime``."""

LARGEST_LIST = 1 << 30
"""Bytes of one list of packages; the largest today has 60 MB."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*(?:/[A-Za-z0-9][A-Za-z0-9._+~-]*)*")


class ReleaseDateError(NetworkError):
    """A Release file is expired, or of a time to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A file that a Release file vouches for."""

    path: str
    """Relative to the folder of the Release file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """The content of a Release file whose signature was checked."""

    names: frozenset[str]
    """Suite and code name."""

    date: datetime
    valid_until: datetime | None
    architectures: frozenset[str]
    has_hash_names: bool
    """Whether lists can also be had by their hash, which no update of the archive takes away at once."""

    lists_of_all: bool
    """Whether packages of architecture ``all`` have lists of their own."""

    files: Mapping[str, ListedFile]


def parse_release(text: str) -> ReleaseFile:
    """Read a Release file.  :raises IntegrityError: it has no date, or no list of files by SHA-256."""
    for fields in stanzas(text):
        if "SHA256" in fields:
            break
    else:
        raise IntegrityError("a Release file of the archive lists no files by SHA-256")
    architectures = frozenset(fields.get("Architectures", "").split())
    without_all = fields.get("No-Support-for-Architecture-all", "").split()
    return ReleaseFile(
        names=frozenset(filter(None, (fields.get("Suite"), fields.get("Codename")))),
        date=_date(fields["Date"]) if "Date" in fields else _date(""),
        valid_until=_date(fields["Valid-Until"]) if fields.get("Valid-Until") else None,
        architectures=architectures,
        has_hash_names=fields.get("Acquire-By-Hash", "").lower() == "yes",
        lists_of_all="all" in architectures and "Packages" not in without_all,
        files={file.path: file for file in _files(fields["SHA256"])},
    )


def require_current(release: ReleaseFile, options: Mapping[str, str], *, now: datetime) -> None:
    """Raise unless ``release`` is of use at ``now``, under the ``options`` of its source (sources.list(5)).

    :raises ReleaseDateError: it is expired, or dated to a time to come.
    """
    if not _is_off(options.get("Check-Date")):
        ahead = _seconds(options.get("Date-Max-Future"), FUTURE_SECONDS)
        if release.date > now + timedelta(seconds=ahead):
            raise ReleaseDateError(f"it is dated {release.date:%Y-%m-%d %H:%M} UTC, which is still to come")
    if _is_off(options.get("Check-Valid-Until")) or _is_off(options.get("Check-Date")):
        return
    end = _end(release, options)
    if end is not None and now > end:
        raise ReleaseDateError(f"it was valid until {end:%Y-%m-%d %H:%M} UTC")


def _end(release: ReleaseFile, options: Mapping[str, str]) -> datetime | None:
    end = release.valid_until
    longest = _seconds(options.get("Valid-Until-Max"), 0)
    if longest:
        latest = release.date + timedelta(seconds=longest)
        end = min(end, latest) if end else latest
    shortest = _seconds(options.get("Valid-Until-Min"), 0)
    if end and shortest:
        end = max(end, release.date + timedelta(seconds=shortest))
    return end


def _files(text: str) -> Iterator[ListedFile]:
    for line in text.splitlines():
        words = line.split()
        if len(words) != 3:  # noqa: PLR2004 - digest, size, path
            continue
        digest, size, path = words
        is_plain = _PATH.fullmatch(path.removeprefix("./")) is not None
        if _DIGEST.fullmatch(digest) and size.isdecimal() and is_plain and int(size) <= LARGEST_LIST:
            yield ListedFile(path=path.removeprefix("./"), size=int(size), sha256=digest)


def _date(value: str) -> datetime:
    try:
        return parsedate_to_datetime(value).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise IntegrityError("a Release file of the archive has a date that cannot be read") from error


def _is_off(value: str | None) -> bool:
    return (value or "").strip().lower() in {"no", "false", "without", "off", "disable", "0"}


def _seconds(value: str | None, default: int) -> int:
    return int(value) if value and value.strip().isdecimal() else default
