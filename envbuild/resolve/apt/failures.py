"""apt's words as typed errors.

apt has no error codes: all failures exit with 100, so the kind is told from its messages (LC_ALL=C.UTF-8).
Each table entry is asserted against a real apt in the tests; what matches none is a NetworkError.
"""

import re

from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, NotFoundError
from envbuild.remote.apt import KEYRING_VARIABLE, MIRROR_VARIABLE
from envbuild.resolve.apt.archives import AptArchives

LINES_SHOWN = 12
"""How much of apt's own words an error shows."""

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")

_UNSIGNED = re.compile(
    r"NO_PUBKEY|Missing key|is not signed|not valid: signature|BADSIG|EXPKEYSIG|REVKEYSIG|EXPSIG|signatures? "
    r"(?:couldn't be verified|were invalid)|Signed file isn't valid|Sub-process .*sqv|Verifying signature"
)
_EXPIRED = re.compile(r"Release file .* is (?:expired|not valid yet)")
_MISMATCH = re.compile(r"Hash Sum mismatch|File has unexpected size|Clearsigned file isn't valid")
_NOT_FOUND = re.compile(r"does not have a Release file|\b404\b|File not found|410 +Gone")


def update_error(errors: str, archives: AptArchives) -> EnvbuildError:
    """Return why the lists of ``archives`` could not be fetched."""
    detail = shortened(errors)
    for pattern, error in (
        (_EXPIRED, outdated_error),
        (_UNSIGNED, unsigned_error),
        (_MISMATCH, mismatched_error),
        (_NOT_FOUND, not_found_error),
    ):
        if pattern.search(errors):
            return error(archives, detail)
    return unreachable_error(archives, detail)


def outdated_error(archives: AptArchives, detail: str) -> NetworkError:
    """Return the error of lists that are past their date, or before it."""
    return NetworkError(
        f"the package lists of {archives.name} are out of date",
        hint="the mirror may be stale, or this machine's clock wrong; "
        f"name another mirror in {MIRROR_VARIABLE}",
        detail=detail,
    )


def unsigned_error(archives: AptArchives, detail: str) -> IntegrityError:
    """Return the error of an archive that no key of its source signed."""
    return IntegrityError(
        f"an archive of {archives.name} is not signed by a key that is known here",
        hint=f"check the mirror's address; name a keyring with the archive's keys in {KEYRING_VARIABLE}",
        detail=detail,
    )


def mismatched_error(archives: AptArchives, detail: str) -> IntegrityError:
    """Return the error of lists that are not what was signed."""
    return IntegrityError(
        f"the package lists of {archives.name} do not match what the archive signed",
        hint="the mirror may be in the middle of an update: try again in a few minutes",
        detail=detail,
    )


def not_found_error(archives: AptArchives, detail: str) -> NotFoundError:
    """Return the error of an archive that is not there."""
    return NotFoundError(
        f"an archive of {archives.name} is not at the address it is looked for",
        hint=f"check the mirror; {MIRROR_VARIABLE} names another one",
        detail=detail,
    )


def unreachable_error(archives: AptArchives, detail: str) -> NetworkError:
    """Return the error of an archive that does not answer."""
    return NetworkError(
        f"cannot reach the archives of {archives.name}",
        hint=f"check the proxy and the network; {MIRROR_VARIABLE} names another mirror",
        detail=detail,
    )


def shortened(errors: str) -> str:
    """Return apt's error lines without credentials, each once, or all of it when there are none."""
    lines = [line.rstrip() for line in without_credentials_in(errors).splitlines() if line.strip()]
    chosen = [line.removeprefix("E: ") for line in lines if line.startswith("E: ")] or lines
    unique = list(dict.fromkeys(chosen))
    rest = len(unique) - LINES_SHOWN
    return "\n".join([*unique[:LINES_SHOWN], *([f"… and {rest} more lines"] if rest > 0 else [])])


def without_credentials_in(text: str) -> str:
    """Return ``text`` with user and password taken out of every address."""
    return _USERINFO.sub("", text)
