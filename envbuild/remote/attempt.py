"""One attempt to get a file: what a server is told, what its answer means, and whether to ask again."""

import re
import ssl
from dataclasses import dataclass
from typing import Final

import requests
import urllib3
import urllib3.exceptions
from requests.auth import AuthBase, HTTPBasicAuth

from envbuild.errors import IntegrityError, NetworkError
from envbuild.remote.address import Address
from envbuild.remote.http import RETRY_STATUSES, ca_bundle, require_success, retry_after

LONGEST_RETRY_AFTER_SECONDS = 120.0
"""A server that asks for more patience than this is given up."""

_RANGE_NOT_SATISFIABLE: Final = 416
_PARTIAL_CONTENT: Final = 206
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_PERMANENT = (
    requests.exceptions.TooManyRedirects,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    ssl.SSLCertVerificationError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFile:
    """What a file must be."""

    name: str
    """How messages call it."""

    size: int
    """Bytes."""

    sha256: str


class TransientError(Exception):
    """An attempt failed in a way the next one may not."""

    def __init__(
        self, error: NetworkError, *, wait_seconds: float | None = None, from_start: bool = False
    ) -> None:
        """Carry what to raise when attempts run out.

        ``wait_seconds`` replaces the usual wait; with ``from_start`` what was received is of no use.
        """
        super().__init__(error.message)
        self.error = error
        self.wait_seconds = wait_seconds
        self.from_start = from_start


def open_answer(
    session: requests.Session, address: Address, *, start: int, timeout: tuple[float, float]
) -> requests.Response:
    """Ask for the bytes from ``start`` on; the body is not yet read.

    :raises requests.RequestException: there is no answer.
    """
    return session.get(
        address.url,
        headers={"Range": f"bytes={start}-"} if start else {},
        auth=_authentication(address),
        proxies={"http": address.proxy, "https": address.proxy} if address.proxy else None,
        cert=address.client_certificate,
        verify=_verification(address),
        stream=True,
        timeout=timeout,
    )


def judge_answer(response: requests.Response, address: Address, wanted: ExpectedFile, *, start: int) -> int:
    """Return the byte of the file at which the body begins: ``start``, or 0 from a server without ranges.

    :raises TransientError: another attempt may succeed, after a 416 or an unasked range only one from 0.
    :raises NetworkError: the server refuses for good.
    :raises IntegrityError: the file is of another size.
    """
    status = response.status_code
    if start and status == _RANGE_NOT_SATISFIABLE:
        error = NetworkError(f"{address} has no byte {start} of `{wanted.name}`")
        raise TransientError(error, wait_seconds=0, from_start=True)
    _require_success(response)
    begin = 0
    if status == _PARTIAL_CONTENT:
        answered = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        begin = int(answered[1]) if answered else -1
        if begin != start:
            error = NetworkError(f"{address} answered another range than asked for")
            raise TransientError(error, wait_seconds=0, from_start=True)
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and begin + int(length) != wanted.size:
        raise wrong_size(wanted, address, str(begin + int(length)))
    return begin


def is_transient(error: NetworkError) -> bool:
    """Return whether a failure to talk to a server may pass: not a wrong certificate or address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _PERMANENT):
            return False
        cause = cause.__cause__ or cause.__context__
    return True


def wrong_size(wanted: ExpectedFile, address: Address, got: str) -> IntegrityError:
    """Return the error that says the address has a file of another size."""
    return IntegrityError(
        f"`{wanted.name}` from {address} is not the locked file: {wanted.size} bytes expected, got {got}"
    )


def wrong_digest(wanted: ExpectedFile, address: Address, got: str) -> IntegrityError:
    """Return the error that says the address has a file of other content."""
    return IntegrityError(
        f"`{wanted.name}` from {address} is not the locked file: sha256 expected {wanted.sha256}, got {got}"
    )


class BearerAuth(AuthBase):
    """Sends a token; the session takes it out of what it sends to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token (RFC 6750, 2.1)."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _authentication(address: Address) -> AuthBase | None:
    """Return what proves who asks; None: ``~/.netrc`` may know."""
    if address.bearer is not None:
        return BearerAuth(address.bearer)
    credentials = address.credentials
    if credentials is None:
        return None
    # as UTF-8: the library's own choice is Latin-1
    return HTTPBasicAuth(credentials.username.encode(), credentials.password.encode())


def _verification(address: Address) -> bool | str | None:
    if address.is_trusted:
        # whoever trusts a host said so; repeating it per request helps nobody
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return False
    # the environment's bundle is the session's already, and wins
    return None if ca_bundle() else address.ca_bundle


def _require_success(response: requests.Response) -> None:
    try:
        require_success(response)
    except NetworkError as error:
        if response.status_code not in RETRY_STATUSES:
            raise
        wait = retry_after(response)
        if wait is not None and wait > LONGEST_RETRY_AFTER_SECONDS:
            raise NetworkError(
                f"{error.message} and asks to wait {wait:.0f} seconds", hint="try again later"
            ) from error
        raise TransientError(error, wait_seconds=wait) from error
