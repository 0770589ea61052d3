"""One HTTP session for all that is read from a network: retries, the client's CA and proxy, typed errors."""

import contextlib
import email.utils
import os
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter
from urllib3.util import Retry
from urllib3.util.ssl_ import create_urllib3_context

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


_READ_BY_CONNECTIONS = frozenset({"ca_certs", "ca_cert_dir"})
"""What urllib3 has each connection read."""


class _SharedTrust(HTTPAdapter):
    """Reads a CA bundle once, and not for each connection: it takes a tenth of a second of processor time.

    Requests with a client certificate, and those through a proxy that speaks TLS itself, are as they were.
    """

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Return what tells connections apart: here also the certificates they trust, read already."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        path = Path(DEFAULT_CA_BUNDLE_PATH if verify is True else verify or "")
        # a path that leads nowhere is an error with a name in `cert_verify`
        if host["scheme"] != "https" or not verify or cert is not None or not path.exists():
            return host, pool
        others = {name: value for name, value in pool.items() if name not in _READ_BY_CONNECTIONS}
        return host, others | {"ssl_context": _trusting(path)}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Have ``conn`` verify certificates; those that its context trusts are not read again."""
        has_context = getattr(conn, "conn_kw", {}).get("ssl_context") is not None
        if has_context and (conn.proxy is None or conn.proxy.scheme == "http"):
            conn.cert_reqs = "CERT_REQUIRED"
        else:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


_reading_bundle = threading.Lock()


def _trusting(path: Path) -> ssl.SSLContext:
    """Return a context that trusts the certificates in a file or folder."""
    status = path.stat()
    # the first connections begin at the same time
    with _reading_bundle:
        return _read_bundle(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _read_bundle(path: Path, _modified: int, _size: int) -> ssl.SSLContext:
    context = create_urllib3_context()
    if path.is_dir():
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)
    return context


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
    adapter = _SharedTrust(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS, max_retries=policy)
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


def bounded_body(response: requests.Response, limit: int) -> bytes | None:
    """Return the body of an answer that is read as it comes; None: it has more than ``limit`` bytes."""
    body = bytearray()
    for chunk in response.iter_content(1 << 16):
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


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
