"""How a registry is told who asks: Basic, and Bearer tokens from the service the registry names.

Distribution's token authentication and its OAuth 2 variant.  Credentials are looked up only once a registry
asks for them; they go to it and to the token service it names, and unencrypted only where that is allowed.
"""

import base64
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import requests

from envbuild.errors import NetworkError
from envbuild.oci.reference import DEFAULT_REGISTRY
from envbuild.remote.http import TIMEOUT_SECONDS, bounded_body, network_errors
from envbuild.remote.registry.credentials import CredentialsError, RegistryCredentials

CLIENT_ID: Final = "envbuild"

SHORTEST_TOKEN_SECONDS: Final = 60.0
"""How long a token lives when the service does not say (Distribution, token authentication)."""

TOKEN_MARGIN_SECONDS: Final = 10.0
"""A token this close to its end is asked for anew: the request with it takes time, too."""

LARGEST_ANSWER: Final = 1 << 20
"""Bytes of what a token service answers."""

_CHALLENGE = re.compile(r"(?:^|,\s*)(Bearer|Basic)(?:\s+|$)", re.IGNORECASE)
_PARAMETER = re.compile(r'([A-Za-z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class LoginError(NetworkError):
    """The registry wants a login, or another one; asking again does not help."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that a 401 offers (RFC 9110, 11.6.1)."""

    scheme: str
    """In lower case."""

    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Ticket:
    header: str
    expires: float


class Authorizer:
    """Keeps the authorization of each registry and scope, and renews it; safe to share between threads."""

    def __init__(
        self,
        session: requests.Session,
        credentials: Callable[[str], RegistryCredentials | None],
        *,
        is_safe: Callable[[str], bool],
        timeout: tuple[float, float] = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wrap ``session``; ``is_safe`` says whether an address may be sent a secret.

        ``timeout`` are the seconds to connect to a token service, and between two reads.
        """
        self._timeout = timeout
        self._session = session
        self._credentials = credentials
        self._is_safe = is_safe
        self._clock = clock
        self._lock = threading.RLock()
        self._tickets: dict[tuple[str, tuple[str, ...]], _Ticket] = {}
        self._problems: dict[str, CredentialsError] = {}
        self._has_credentials: set[str] = set()

    def header(self, registry: str, scopes: tuple[str, ...]) -> str | None:
        """Return the ``Authorization`` a request to ``registry`` needs, as far as that is known."""
        with self._lock:
            ticket = self._tickets.get((registry, scopes))
            return ticket.header if ticket and ticket.expires > self._clock() else None

    def answer(
        self, registry: str, scopes: tuple[str, ...], response: requests.Response, *, sent: str | None
    ) -> str:
        """Return the ``Authorization`` that answers a 401, and remember it.

        ``sent`` is what the refused request carried: another thread may have renewed it since.

        :raises NetworkError: credentials are missing or refused, or the token service is out of reach.
        """
        with self._lock:
            known = self.header(registry, scopes)
            if known and known != sent:
                return known
            self._tickets.pop((registry, scopes), None)
            ticket = self._negotiate(registry, scopes, response)
            self._tickets[registry, scopes] = ticket
            return ticket.header

    def refusal(self, registry: str) -> LoginError:
        """Return the error for a registry that does not let its client in."""
        problem = self._problems.get(registry)
        if problem:
            hint, detail = problem.hint, problem.detail
            return LoginError(f"{registry} asks for a login, but {problem.message}", hint=hint, detail=detail)
        host = "" if registry == DEFAULT_REGISTRY else f" {registry}"
        if registry in self._has_credentials:
            hint = f"log in anew with `docker login{host}`"
            return LoginError(f"{registry} refused the credentials", hint=hint)
        return LoginError(f"{registry} asks for a login", hint=f"log in with `docker login{host}`")

    def _look_up(self, registry: str) -> RegistryCredentials | None:
        """Return the credentials for ``registry``; a configuration that cannot say them is kept for later.

        A public image needs none, and a client's configuration often names a helper of another machine.
        """
        self._problems.pop(registry, None)
        try:
            credentials = self._credentials(registry)
        except CredentialsError as error:
            self._problems[registry] = error
            return None
        if credentials:
            self._has_credentials.add(registry)
        return credentials

    def _negotiate(self, registry: str, scopes: tuple[str, ...], response: requests.Response) -> _Ticket:
        offered = {challenge.scheme: challenge for challenge in parse_challenges(_challenge_text(response))}
        credentials = self._look_up(registry)
        if "bearer" in offered:
            if credentials and credentials.registry_token:
                return _Ticket(f"Bearer {credentials.registry_token}", float("inf"))
            return self._token(registry, scopes, offered["bearer"], credentials)
        if "basic" not in offered:
            raise NetworkError(f"{registry} asks for a kind of login that is not known here")
        if not credentials or not credentials.username:
            raise self.refusal(registry)
        return _Ticket(basic_header(credentials), float("inf"))

    def _token(
        self,
        registry: str,
        scopes: tuple[str, ...],
        challenge: Challenge,
        credentials: RegistryCredentials | None,
    ) -> _Ticket:
        realm = challenge.parameters.get("realm", "")
        if credentials and not self._is_safe(realm):
            raise NetworkError(f"{registry} sends its clients to a token service that is not encrypted")
        fields = [("service", challenge.parameters.get("service", "")), ("client_id", CLIENT_ID)]
        wanted = sorted({*scopes, *challenge.parameters.get("scope", "").split(" ")} - {""})
        with network_errors(realm):
            if credentials and credentials.identity_token:
                secret = credentials.identity_token
                form = [*fields, ("grant_type", "refresh_token"), ("refresh_token", secret)]
                response = self._session.post(
                    realm,
                    data=[*form, ("scope", " ".join(wanted))],
                    auth=as_it_is,
                    allow_redirects=False,
                    timeout=self._timeout,
                    stream=True,
                )
            else:
                headers = {"Authorization": basic_header(credentials)} if credentials else {}
                response = self._session.get(
                    realm,
                    params=[*fields, *(("scope", scope) for scope in wanted)],
                    headers=headers,
                    auth=as_it_is,
                    allow_redirects=False,
                    timeout=self._timeout,
                    stream=True,
                )
            with response:
                # more than a token could be holds none
                content = bounded_body(response, LARGEST_ANSWER) or b""
        if response.status_code in {400, 401, 403}:
            raise self.refusal(registry)
        if not response.ok:
            raise NetworkError(
                f"the token service of {registry} answered HTTP {response.status_code}",
                hint="try again later",
            )
        return self._ticket(registry, content)

    def _ticket(self, registry: str, content: bytes) -> _Ticket:
        try:
            answer = json.loads(content)
            token = answer.get("token") or answer.get("access_token")
            seconds = max(float(answer.get("expires_in") or 0), SHORTEST_TOKEN_SECONDS)
        except (ValueError, OverflowError, RecursionError, AttributeError, TypeError):
            token, seconds = None, 0.0
        if not isinstance(token, str) or not token:
            # not chained: the answer may hold a secret
            raise NetworkError(f"the token service of {registry} gave no token") from None
        return _Ticket(f"Bearer {token}", self._clock() + seconds - TOKEN_MARGIN_SECONDS)


def parse_challenges(text: str) -> tuple[Challenge, ...]:
    """Read ``WWW-Authenticate``: the schemes known here, in order, each with its parameters."""
    found = list(_CHALLENGE.finditer(text))
    ends = [*(match.start() for match in found), len(text)][1:]
    return tuple(
        Challenge(
            match[1].lower(),
            {
                name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
                for name, quoted, plain in _PARAMETER.findall(text[match.end() : end])
            },
        )
        for match, end in zip(found, ends, strict=True)
    )


def basic_header(credentials: RegistryCredentials) -> str:
    """Return the ``Authorization`` of user and password (RFC 7617)."""
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _challenge_text(response: requests.Response) -> str:
    return response.headers.get("WWW-Authenticate", "")


def as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request alone: without this, requests puts an entry of ~/.netrc over our header."""
    return request
