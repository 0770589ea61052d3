"""Credentials of image registries, from the configuration file every container client shares.

``auths``, ``credsStore`` and ``credHelpers`` of ``config.json`` mean what they mean to Docker.  A secret
never leaves its value: it is not in its ``repr``, a message or an argument list.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from envbuild import process
from envbuild.errors import NetworkError
from envbuild.formats.json_text import parse_json
from envbuild.oci.reference import DEFAULT_REGISTRY, DEFAULT_REGISTRY_API
from envbuild.remote.docker_config import read_docker_config

DEFAULT_REGISTRY_KEY: Final = "https://index.docker.io/v1/"
"""What clients file the default registry's credentials under; older than the registry's present host."""

HELPER_PREFIX: Final = "docker-credential-"
HELPER_TIMEOUT_SECONDS: Final = 30.0
"""A helper may ask a keyring or a cloud service, but nobody watches it for longer."""

TOKEN_USER: Final = "<token>"  # noqa: S105 - a marker, not a secret
"""The user name by which a helper says that its secret is an identity token."""

_NOT_FOUND: Final = "credentials not found"


class CredentialsError(NetworkError):
    """The client's configuration or one of its helpers cannot say what the credentials are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryCredentials:
    """What a registry knows its client by: user and password, or one kind of token."""

    username: str = ""
    password: str = field(default="", repr=False)

    identity_token: str = field(default="", repr=False)
    """Exchanged for a short-lived token at the registry's token service (OAuth 2 refresh token)."""

    registry_token: str = field(default="", repr=False)
    """Sent to the registry as it is."""


class DockerConfig:
    """The client's ``config.json``, read when it is first needed."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._content: Mapping[str, Any] | None = None

    def credentials_for(self, registry: str) -> RegistryCredentials | None:
        """Return the credentials for ``registry`` (``docker.io`` for the default), or None.

        A helper named for this registry is asked first, then the general store, then the file itself.

        :raises CredentialsError: the file cannot be read, or a helper is missing or failed.
        """
        content = self._read()
        helpers = _table(content, "credHelpers")
        keys = _keys(registry)
        helper = next((helpers[key] for key in keys if key in helpers), content.get("credsStore"))
        if isinstance(helper, str) and helper:
            found = self._ask(helper, keys[0])
            if found is not None:
                return found
        return _from_auths(_table(content, "auths"), keys)

    def _read(self) -> Mapping[str, Any]:
        if self._content is None:
            self._content = read_docker_config(self._environment, failure=CredentialsError)
        return self._content

    def _ask(self, helper: str, server: str) -> RegistryCredentials | None:
        """Run one helper: the address on standard input, JSON on standard output."""
        program = HELPER_PREFIX + helper
        try:
            result = process.run(
                [program, "get"],
                environment=self._environment,
                standard_input=server.encode(),
                timeout=HELPER_TIMEOUT_SECONDS,
            )
        except process.ProgramMissingError as error:
            raise CredentialsError(
                f"`{program}` is not installed, but the client's configuration names it",
                hint=f"install it, or remove `{helper}` from the client's config.json",
            ) from error
        except process.ProgramTimeoutError as error:
            raise CredentialsError(
                f"`{program}` did not answer", hint="does it wait for a keyring to be unlocked?"
            ) from error
        if not result.succeeded:
            # by the protocol the reason is on standard output
            if _NOT_FOUND in result.stdout or _NOT_FOUND in result.stderr:
                return None
            raise CredentialsError(f"`{program}` failed", detail=result.stderr.strip()[:500] or None)
        try:
            answer = parse_json(result.stdout)
            user, secret = str(answer["Username"]), str(answer["Secret"])
        except (ValueError, KeyError, TypeError):
            # the answer is not shown, and no exception that holds it is chained: it may be the secret
            raise CredentialsError(f"`{program}` gave an answer that is not in the helpers' form") from None
        if not secret:
            return None
        if user == TOKEN_USER:
            return RegistryCredentials(identity_token=secret)
        return RegistryCredentials(username=user, password=secret)


def _table(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = content.get(name)
    return table if isinstance(table, Mapping) else {}


def _keys(registry: str) -> tuple[str, ...]:
    """Return what ``registry`` may be filed under, the usual key first."""
    if registry == DEFAULT_REGISTRY:
        return (DEFAULT_REGISTRY_KEY, DEFAULT_REGISTRY, "index.docker.io", DEFAULT_REGISTRY_API)
    return (registry,)


def _from_auths(auths: Mapping[str, Any], keys: tuple[str, ...]) -> RegistryCredentials | None:
    by_host = {_host(key): entry for key, entry in reversed(tuple(auths.items()))}
    entries = [auths[key] for key in keys if key in auths] + [by_host[key] for key in keys if key in by_host]
    return next((found for entry in entries if (found := _from_entry(entry)) is not None), None)


def _host(key: str) -> str:
    """Return the host of a key; some clients file under an address such as ``https://host/v1/``."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _from_entry(entry: object) -> RegistryCredentials | None:
    if not isinstance(entry, Mapping):
        return None
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            text = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise CredentialsError(
                "an `auth` of the docker client's configuration is not base64 of `user:password`",
                hint="log in anew with `docker login`",
            ) from None
        username, _, password = text.partition(":")
        # some clients pad the password with zero bytes
        password = password.rstrip("\0")
    found = RegistryCredentials(
        username=username,
        password=password,
        identity_token=str(entry.get("identitytoken") or ""),
        registry_token=str(entry.get("registrytoken") or ""),
    )
    return None if found == RegistryCredentials() else found
