"""One request to an image registry: its address, its authorization, its redirects and its refusals."""

import ipaddress
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from envbuild.digest import CHUNK
from envbuild.errors import NetworkError
from envbuild.formats.json_text import parse_json
from envbuild.oci.reference import ImageReference
from envbuild.remote.http import (
    RETRIES,
    TIMEOUT_SECONDS,
    network_errors,
    open_session,
    retry_after,
    without_credentials,
)
from envbuild.remote.registry.auth import Authorizer, LoginError, as_it_is
from envbuild.remote.registry.credentials import DockerConfig

INSECURE_VARIABLE: Final = "ENVBUILD_INSECURE_REGISTRIES"
"""Hosts, with their ports, that are spoken to without encryption; separated by commas."""

MOST_REDIRECTS: Final = 5
MOST_WAITS: Final = 3

LONGEST_WAIT_SECONDS: Final = 10.0
"""A registry that limits requests and asks for more patience than this is reported instead."""

UPLOAD_TIMEOUT_SECONDS: Final = (10.0, 600.0)
"""A registry answers an upload only once it has stored and hashed all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a registry is waited for."""

    connect_seconds: float = TIMEOUT_SECONDS[0]
    read_seconds: float = TIMEOUT_SECONDS[1]
    """Between two reads."""

    repeats: int = RETRIES
    """How often a question that got no answer is asked again."""


PATIENT: Final = Patience()

SHORT_PATIENCE: Final = Patience(connect_seconds=3.0, read_seconds=10.0, repeats=0)
"""For a question whose answer only saves work: a laptop without a network must not wait for it."""

_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _SERVER_ERROR = 401, 403, 429, 500
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETRIED = (408, 500, 502, 503, 504)


class RegistryBusyError(NetworkError):
    """The registry failed to answer this once, and may not the next time."""

    def __init__(
        self, message: str, *, hint: str, detail: str | None = None, wait_seconds: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.wait_seconds = wait_seconds
        """What it asks for (``Retry-After``), when that is worth it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSlice:
    """A part of a file as the body of a request, read as it is sent."""

    path: Path
    start: int
    size: int
    """Bytes."""

    on_bytes: Callable[[int], None] = lambda _size: None
    """Told of each chunk as it goes out; a request that is repeated tells again."""

    def __len__(self) -> int:
        # what `requests` takes the Content-Length from
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        left = self.size
        with self.path.open("rb") as file:
            file.seek(self.start)
            while left and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk
                self.on_bytes(len(chunk))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request to one address."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: Mapping[str, str] | None
    body: FileSlice | bytes | None
    stream: bool


class RegistryTransport:
    """Sends requests to registries; safe to share between threads."""

    def __init__(
        self,
        *,
        environment: Mapping[str, str] = os.environ,
        session: requests.Session | None = None,
        patience: Patience = PATIENT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session or _open_session(patience.repeats)
        self._timeout = (patience.connect_seconds, patience.read_seconds)
        self._most_waits = MOST_WAITS if patience.repeats else 0
        insecure = environment.get(INSECURE_VARIABLE, "").split(",")
        self._insecure = frozenset(host.strip() for host in insecure if host.strip())
        self._authorizer = Authorizer(
            self._session,
            DockerConfig(environment).credentials_for,
            is_safe=self._is_safe,
            timeout=self._timeout,
        )
        self._sleep = sleep

    def address(self, reference: ImageReference, path: str) -> str:
        """Return the address of ``path`` below the API of the reference's registry."""
        scheme = "http" if self._is_plain(reference.api_host) else "https"
        return f"{scheme}://{reference.api_host}/v2/{path}"

    def send(
        self,
        method: str,
        reference: ImageReference,
        path: str,
        *,
        actions: str = "pull",
        also_from: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: FileSlice | bytes | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """Send one request and return its answer: a success, or a 4xx that the caller can make sense of.

        ``path`` is below the API, or an address the registry gave before.  ``actions`` is what the
        authorization must allow in the repository, ``also_from`` a second repository to read from.

        :raises NetworkError: the registry is out of reach, broken, limits requests, or refuses the login.
        """
        url = urljoin(self.address(reference, ""), path)
        self._require_safe(url)
        scopes = _scopes(reference, actions, also_from)
        is_registry = _origin(url) == _origin(self.address(reference, ""))
        login = self._authorizer.header(reference.registry, scopes) if is_registry else None
        waits, has_answered = 0, False
        while True:
            # digests are over the bytes as they are
            sent = {**(headers or {}), "Accept-Encoding": "identity"}
            response = self._follow(
                HttpRequest(
                    method=method,
                    url=url,
                    headers=sent | ({"Authorization": login} if login else {}),
                    params=params,
                    body=body,
                    stream=stream,
                )
            )
            if response.status_code == _UNAUTHORIZED and is_registry and not has_answered:
                response.close()
                login = self._authorizer.answer(reference.registry, scopes, response, sent=login)
                has_answered = True
            elif (
                response.status_code == _TOO_MANY and waits < self._most_waits and _wait(response) is not None
            ):
                response.close()
                self._sleep(_wait(response) or 0.0)
                waits += 1
            else:
                break
        return self._accept(response, reference)

    def _follow(self, request: HttpRequest) -> requests.Response:
        """Send a request, following redirects: what another host stores is not asked for with our login."""
        origin = _origin(request.url)
        for _ in range(MOST_REDIRECTS + 1):
            response = self._exchange(request)
            target = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or not target or request.method not in {"GET", "HEAD"}:
                return response
            response.close()
            url, headers = urljoin(response.url, target), dict(request.headers)
            self._require_safe(url)
            if _origin(url) != origin:
                headers.pop("Authorization", None)
            request = replace(request, url=url, headers=headers, params=None)
        raise NetworkError(f"{without_credentials(request.url)} redirects in a circle")

    def _exchange(self, request: HttpRequest) -> requests.Response:
        host, body = urlsplit(request.url).hostname or "", request.body
        # requests sends an empty stream in chunks, which some registries refuse
        data = b"" if isinstance(body, FileSlice) and not body.size else body
        with network_errors(request.url):
            return self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                params=request.params,
                data=data,
                auth=as_it_is,
                stream=request.stream,
                allow_redirects=False,
                # as every engine: a proxy is never asked for what is on this machine
                proxies={"no_proxy": host} if _is_loopback(host) else None,
                timeout=self._timeout if body is None else UPLOAD_TIMEOUT_SECONDS,
            )

    def _accept(self, response: requests.Response, reference: ImageReference) -> requests.Response:
        status = response.status_code
        if response.ok:
            return response
        registry = reference.registry
        if status == _TOO_MANY:
            raise NetworkError(
                f"{registry} limits how often it may be asked (HTTP 429)",
                hint="wait a while; a login with `docker login` often raises the limit",
                detail=server_message(response),
            )
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            refusal = self._authorizer.refusal(registry)
            raise LoginError(
                f"{registry} does not allow access to `{reference.familiar}`: "
                f"it does not exist, or {refusal.message}",
                hint=refusal.hint,
                detail=server_message(response) or refusal.detail,
            )
        if status >= _SERVER_ERROR:
            raise RegistryBusyError(
                f"{registry} answered HTTP {status}",
                hint="try again later, or check the registry",
                detail=server_message(response),
                wait_seconds=_wait(response),
            )
        return response

    def _is_plain(self, host: str) -> bool:
        return host in self._insecure or _is_loopback(urlsplit(f"//{host}").hostname or "")

    def _is_safe(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and self._is_plain(parts.netloc))

    def _require_safe(self, url: str) -> None:
        if not self._is_safe(url):
            raise NetworkError(
                f"{without_credentials(url)} is not encrypted",
                hint=f"name its host in {INSECURE_VARIABLE} if that is meant",
            )


class OfflineTransport(RegistryTransport):
    """Sends nothing: for work that is to do with what is here."""

    def send(self, method: str, reference: ImageReference, path: str, **_: object) -> requests.Response:  # noqa: ARG002
        """Refuse.  :raises NetworkError: always."""
        raise NetworkError(
            f"`{reference.familiar}` has not been downloaded yet", hint="run without --offline"
        )


def server_message(response: requests.Response) -> str | None:
    """Return what the registry says is wrong (distribution-spec, error codes), shortened."""
    try:
        # no more than a message is read of an answer that may be a whole layer
        text = next(response.iter_content(8192), b"")
        errors = parse_json(text)["errors"]
        found = "; ".join(f"{error['code']}: {error.get('message') or ''}".rstrip(": ") for error in errors)
    except (ValueError, KeyError, TypeError, AttributeError, requests.RequestException):
        return None
    return found[:300] or None


def _open_session(repeats: int) -> requests.Session:
    """Return a session that repeats only reading, and leaves HTTP 429 to us.

    urllib3 would sleep for as long as a registry asks, an hour if need be; and an upload that broke must be
    begun anew, not sent again.
    """
    session = open_session(retries=repeats)
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.max_retries = adapter.max_retries.new(
                status_forcelist=_RETRIED, allowed_methods=("GET", "HEAD"), respect_retry_after_header=False
            )
    return session


def _scopes(reference: ImageReference, actions: str, also_from: str | None) -> tuple[str, ...]:
    own = f"repository:{reference.repository}:{actions}"
    return (own, f"repository:{also_from}:pull") if also_from else (own,)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wait(response: requests.Response) -> float | None:
    """Return how many seconds a registry asks to wait, when that is worth it."""
    seconds = retry_after(response)
    return seconds if seconds is not None and seconds <= LONGEST_WAIT_SECONDS else None
