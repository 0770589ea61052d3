"""What every kind of data that can be fetched file by file has in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from envbuild.data.names import clashing, fault_of, is_of_git
from envbuild.data.partial import DataPartial
from envbuild.errors import IntegrityError

MOST_LISTED: Final = 2_000_000
LARGEST_FILE: Final = 1 << 44
"""Bytes of one file: 16 TiB, more than any file system of a laptop has."""

OnPosition = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file as a server lists it."""

    path: str
    """Relative to the root of the data."""

    key: str
    """What the server calls it."""

    size: int | None
    """Bytes; None: the server does not say."""

    sha256: str | None = None
    """Hexadecimal; None: the server does not say, and it must be received to know."""

    validator: str | None = None
    """What else the server says that its content is: a digest of git, a version, a tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceListing:
    """All files of one revision of data, as a server lists them."""

    files: tuple[RemoteFile, ...]
    revision: str | None = None
    license: str | None = None


class DataSource(Protocol):
    """A server that has the files of one data entry."""

    def list_files(self) -> SourceListing:
        """Return what the server has.

        :raises NetworkError: it does not answer.
        :raises IntegrityError: it answers nonsense.
        """

    def receive(self, file: RemoteFile, partial: DataPartial, on_position: OnPosition) -> None:
        """Receive a file; where its sha256 is known, exactly that.  Called from several threads.

        :raises NetworkError: the server does not serve it.
        :raises IntegrityError: it serves something else.
        :raises OSError: the disk refuses.
        """

    def cancel(self) -> None:
        """End what other threads receive; what came is kept."""

    def close(self) -> None:
        """Give up connections."""


def checked_listing(listing: SourceListing, *, label: str) -> SourceListing:
    """Return a listing whose paths are safe to write, sorted.

    :raises IntegrityError: a path leads elsewhere, is there twice, or is a file and a folder; or there are
        too many, or none.
    """
    paths = [file.path for file in listing.files]
    if not paths:
        raise IntegrityError(f"{label} has no such files", hint="check its name, revision and patterns")
    if len(paths) > MOST_LISTED:
        raise IntegrityError(f"{label} lists more than {MOST_LISTED:,} files")
    for path in paths:
        fault = fault_of(path)
        if fault is not None:
            raise IntegrityError(f"{label} lists {path!a}, which {fault}", hint="do not trust this server")
        if is_of_git(path):
            raise IntegrityError(
                f"{label} lists {path!a}, which belongs to git: who writes it has git run what they like",
                hint="leave it out with patterns, or do not trust this server",
            )
    known = set(paths)
    if len(known) != len(paths) or clashing(known) is not None:
        raise IntegrityError(f"{label} lists a file twice, or as a folder too")
    files = tuple(sorted(listing.files, key=lambda file: file.path))
    return SourceListing(files=files, revision=listing.revision, license=listing.license)
