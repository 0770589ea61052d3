"""Standalone builds of Python: which there are, and where this machine gets them.

The table of builds is that of the `pbs-installer` distribution, a list of python-build-standalone's releases
with the sha256 of each file.  A lock holds a file's path and digest; the address of the releases is the
table's own, or ``ENVBUILD_PYTHON_URL``.
"""

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from urllib.parse import quote, unquote

from envbuild.errors import NetworkError
from envbuild.remote.address import Address
from envbuild.remote.http import TIMEOUT_SECONDS, network_errors, open_session, require_success

URL_VARIABLE: Final = "ENVBUILD_PYTHON_URL"

_RELEASE = re.compile(r"\+([0-9]{8})-")


@dataclass(frozen=True, slots=True, kw_only=True)
class StandalonePython:
    """One build for Linux with glibc, ready to be unpacked."""

    version: str
    """``3.12.15``."""

    file: str
    path: str
    """Below the address of the releases, quoted: ``20261021/cpython-3.12.15%2B20261021-….tar.gz``."""

    sha256: str
    released: date


def find_standalone(python: str, machine: str, *, snapshot: date | None = None) -> StandalonePython | None:
    """Return the newest build of ``python`` (``3.12`` or ``3.12.9``) for a machine, or None without one.

    With a ``snapshot`` it is the newest that was released by then.
    """
    for wanted in _candidates(python, machine):
        build = _build(wanted, machine)
        if build and (snapshot is None or build.released <= snapshot):
            return build
    return None


def standalone_address(path: str, environment: Mapping[str, str] = os.environ) -> Address:
    """Return where the file of a lock's path is for this machine."""
    base = environment.get(URL_VARIABLE) or _default_base()
    return Address.of(f"{base.rstrip('/')}/{path}")


def size_of(address: Address) -> int:
    """Return the bytes of a file, as its server says.  :raises NetworkError: it does not say."""
    credentials = address.credentials
    with network_errors(address.url), open_session() as session:
        response = session.head(
            address.url,
            allow_redirects=True,
            timeout=TIMEOUT_SECONDS,
            headers={"Accept-Encoding": "identity"},
            auth=(credentials.username, credentials.password) if credentials else None,
        )
        length = require_success(response).headers.get("Content-Length", "")
    if not length.isdecimal() or length == "0":
        raise NetworkError(f"the server of {address} does not say how large the file is")
    return int(length)


def _candidates(python: str, machine: str) -> Iterator[str]:
    """Yield patch releases to look at, newest first."""
    newest = _build(python, machine)
    if newest is None:
        return
    minor, _, patch = newest.version.rpartition(".")
    yield newest.version
    if python == minor:
        for older in range(int(patch) - 1, -1, -1):
            yield f"{minor}.{older}"


def _build(python: str, machine: str) -> StandalonePython | None:
    try:
        version, url, sha256 = _link(python, machine)
    except ValueError:
        return None
    file = unquote(url.rpartition("/")[2])
    release = _RELEASE.search(file)
    if not sha256 or not release:
        # the oldest ones: nothing says what their bytes must be
        return None
    return StandalonePython(
        version=version,
        file=file,
        path=f"{release[1]}/{quote(file)}",
        sha256=sha256,
        released=datetime.strptime(release[1], "%Y%m%d").replace(tzinfo=UTC).date(),
    )


def _default_base() -> str:
    """Return the address of the releases, as the table has it."""
    _, url, _ = _link("3.12", "x86_64")
    return url.rsplit("/", 2)[0]


def _link(python: str, machine: str) -> tuple[str, str, str | None]:
    """Return version, address and sha256 of a build.  :raises ValueError: there is none."""
    from pbs_installer import get_download_link  # noqa: PLC0415 - reads a megabyte of table

    with warnings.catch_warnings():
        # it opens its table in a way Python 3.11 and 3.12 call deprecated, and later ones do not
        warnings.simplefilter("ignore", DeprecationWarning)
        version, (url, sha256) = get_download_link(python, arch=machine, platform="linux")
    return f"{version.major}.{version.minor}.{version.micro}", url, sha256
