"""One HTTP session for all that is read from a network: retries, the client's CA and proxy, typed errors."""

import contextlib
import email.utils
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from envbuild.errors import NetworkError, NotFoundError
from envbuild.version import __version__

CONNECTIONS = 32
"""Connections kept open to one host: enough for every parallel request envbuild makes."""

TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect, and between two reads."""

RETRIES = 4
BACKOFF_SECONDS = 0.4
"""Waits of 0, 0.8, 1.6 and 3.2 seconds, unless the server says ``Retry-After``."""

RETRY_STATUSES = (408, 429, 500, 502, 503, 504)
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE")


def ca_bundle(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the CA bundle the client is configured with, or None for the libraries' own."""
    for variable in CA_VARIABLES:
        path = environment.get(variable)
        if path and Path(path).exists():
            return path
    return None


def open_session(*, retries: int = RETRIES) -> requests.Session:
    """Return a session that is safe to share between threads for plain requests."""
    session = requests.Session()
    policy = Retry(
        total=retries,
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=RETRY_STATUSES,
        allowed_methods=("GET", "HEAD", "PUT"),
        raise_on_status=False,
        respect_retry_after_header=True,
    )
    adapter = HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS, max_retries=policy)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers["User-Agent"] = f"envbuild/{__version__}"
    bundle = ca_bundle()
    if bundle:
        session.verify = bundle
    return session


def without_credentials(url: str) -> str:
    """Return ``url`` as it may be shown: no user, password or query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextlib.contextmanager
def network_errors(url: str) -> Iterator[None]:
    """Turn what goes wrong while talking to ``url`` into :class:`NetworkError`, without its credentials."""
    shown = without_credentials(url)
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise NetworkError(
            f"the certificate of {urlsplit(shown).netloc} is not trusted",
            hint="name your CA bundle in SSL_CERT_FILE or REQUESTS_CA_BUNDLE",
        ) from error
    except (requests.exceptions.RequestException, OSError) as error:
        raise NetworkError(
            f"cannot reach {shown}",
            hint="check the address, the proxy and the network, then try again",
            detail=_reason(error),
        ) from error


def require_success(response: requests.Response) -> requests.Response:
    """Return ``response`` when it succeeded.

    :raises NotFoundError: for 404 and 410.
    :raises NetworkError: for refused credentials and every other failure.
    """
    if response.ok:
        return response
    shown = without_credentials(response.url or "")
    status = response.status_code
    if status in {404, 410}:
        raise NotFoundError(f"{shown} does not exist (HTTP {status})")
    if status in {401, 403}:
        raise NetworkError(
            f"{urlsplit(shown).netloc} refused the credentials (HTTP {status})",
            hint="check the credentials in your client's configuration",
        )
    raise NetworkError(f"{shown} answered HTTP {status}", hint="try again later, or check the server")


def _reason(error: BaseException) -> str:
    """Return the innermost cause in one line: urllib3 nests three exceptions around it."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return f"{type(cause).__name__}: {cause}".splitlines()[0][:200]


def retry_after(response: requests.Response) -> float | None:
    """Return the seconds ``Retry-After`` asks for (RFC 9110, 10.2.3), or None when it says nothing."""
    header = response.headers.get("Retry-After", "").strip()
    if header.isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
