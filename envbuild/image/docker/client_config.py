"""The docker client's configuration: which engine an environment names, headers, and proxies of containers.

Docker's SDK finds them through the variables of its process alone, and an engine may be asked for with
others, so the files are read here.  Their format is what Docker documents under "Docker contexts" and "Use a
proxy server with the Docker CLI", and what its client writes (docker/cli, ``cli/context/store``)::

    config.json                          currentContext, HttpHeaders, proxies
    contexts/meta/SHA256/meta.json       Endpoints.docker: Host, SkipTLSVerify
    contexts/tls/SHA256/docker/*.pem     ca, cert, key; each may be missing

all below ``DOCKER_CONFIG``, else ``~/.docker``; SHA256 is that of the context's name.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docker.tls import TLSConfig

from envbuild.digest import sha256_bytes
from envbuild.errors import EngineError
from envbuild.remote.docker_config import config_folder, read_client_file, read_docker_config

DEFAULT: Final = "default"
"""The context that is no file: the engine of this machine."""

DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
"""What the default context is called where engines are told apart by their host."""

_CA: Final = "ca.pem"
_CERTIFICATE: Final = "cert.pem"
_KEY: Final = "key.pem"

_PROXIES: Final = {
    "http_proxy": "httpProxy",
    "https_proxy": "httpsProxy",
    "ftp_proxy": "ftpProxy",
    "no_proxy": "noProxy",
    "all_proxy": "allProxy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where an engine answers, and how the connection is secured."""

    host: str | None
    """As in ``DOCKER_HOST``; None: the default socket of this machine."""

    tls: TLSConfig | None
    """None: without TLS."""


def endpoint_of(environment: Mapping[str, str]) -> Endpoint:
    """Return the engine that ``environment`` names, as the docker client finds it.

    ``DOCKER_HOST`` decides, then ``DOCKER_CONTEXT``, then the current context.

    :raises EngineError: there is no such context, its files cannot be read, or certificates that should be
        there are not.
    """
    folder = config_folder(environment)
    if host := environment.get("DOCKER_HOST"):
        return Endpoint(host=host, tls=_tls_of_variables(environment, folder))
    name = environment.get("DOCKER_CONTEXT") or _current_context(environment)
    if name == DEFAULT:
        return Endpoint(host=None, tls=None)
    return _context(name, folder)


def proxy_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which the client tells containers their proxies.

    :raises EngineError: the configuration cannot be read, or as for :func:`endpoint_of`.
    """
    by_host = read_docker_config(environment, failure=EngineError).get("proxies")
    if not isinstance(by_host, dict):
        return {}
    host = endpoint_of(environment).host or DEFAULT_HOST
    proxies = by_host.get(host, by_host.get("default"))
    if not isinstance(proxies, dict):
        return {}
    values = {name: str(proxies.get(field) or "") for name, field in _PROXIES.items()}
    return {spelling: value for name, value in values.items() if value for spelling in (name.upper(), name)}


def http_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that the client sends with every request to an engine.

    :raises EngineError: the configuration cannot be read.
    """
    headers = read_docker_config(environment, failure=EngineError).get("HttpHeaders")
    if not isinstance(headers, dict):
        return {}
    return {name: value for name, value in headers.items() if isinstance(value, str)}


def _tls_of_variables(environment: Mapping[str, str], folder: Path | None) -> TLSConfig | None:
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    # any value asks for it, as the client reads these two; certificates alone do not
    if not (verify or environment.get("DOCKER_TLS")):
        return None
    named = environment.get("DOCKER_CERT_PATH")
    place = Path(named) if named else folder
    if place is None:
        raise EngineError(
            "DOCKER_TLS_VERIFY or DOCKER_TLS asks for certificates, and no folder has them",
            hint="name their folder in DOCKER_CERT_PATH",
        )
    # the client wants it even where nothing is verified, and builds go through the client
    if not _can_be_read(place / _CA):
        raise _unusable(place / _CA, "there is no such file")
    return _tls_in(place, verify=verify)


def _current_context(environment: Mapping[str, str]) -> str:
    name = read_docker_config(environment, failure=EngineError).get("currentContext")
    return name if isinstance(name, str) and name else DEFAULT


def _context(name: str, folder: Path | None) -> Endpoint:
    try:
        # a variable may hold bytes that are not UTF-8; the client takes their digest as they are
        digest = sha256_bytes(os.fsencode(name))
    except UnicodeEncodeError:
        # half a character, which JSON can hold and no file of a context is called after
        digest = None
    content = (
        read_client_file(folder / "contexts" / "meta" / digest / "meta.json", failure=EngineError)
        if folder and digest
        else None
    )
    if folder is None or digest is None or content is None:
        shown = name.encode(errors="backslashreplace").decode()
        raise EngineError(
            f"there is no docker context `{shown}`",
            hint="`docker context ls` shows those there are; name one in DOCKER_CONTEXT, "
            "or the engine in DOCKER_HOST",
        )
    endpoints = content.get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(endpoint, dict) or not isinstance(endpoint.get("Host", ""), str):
        raise EngineError(
            f"docker context `{name}` names no Docker Engine",
            hint=f"`docker context inspect {name}` shows it; name the engine in DOCKER_HOST",
        )
    certificates = folder / "contexts" / "tls" / digest / "docker"
    is_trusted = endpoint.get("SkipTLSVerify") is True
    return Endpoint(
        host=endpoint.get("Host") or None, tls=_tls_of_context(certificates, is_trusted=is_trusted)
    )


def _tls_of_context(place: Path, *, is_trusted: bool) -> TLSConfig | None:
    """Return the TLS of a context with certificates in ``place``; ``is_trusted``: whoever answers is."""
    if not is_trusted and not any(_can_be_read(place / name) for name in (_CA, _CERTIFICATE, _KEY)):
        return None
    return _tls_in(place, verify=not is_trusted)


def _tls_in(place: Path, *, verify: bool) -> TLSConfig:
    """Return TLS with the certificates that are in ``place``.

    :raises EngineError: one cannot be read, or is something else; the SDK would say so with every request.
    """
    ca, certificate, key = (place / name for name in (_CA, _CERTIFICATE, _KEY))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    has_ca = _can_be_read(ca)
    if has_ca:
        try:
            context.load_verify_locations(ca)
        except ssl.SSLError as error:
            raise _unusable(ca, "it holds no certificate") from error
    # as the client does: half of a pair is none
    has_own = all([_can_be_read(certificate), _can_be_read(key)])
    if has_own:
        try:
            # a password is never asked for on the terminal
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError as error:
            reason = f"it is no certificate, or {_KEY} beside it is not its key, or has a password"
            raise _unusable(certificate, reason) from error
    return TLSConfig(
        client_cert=(str(certificate), str(key)) if has_own else None,
        ca_cert=str(ca) if has_ca else None,
        verify=verify,
    )


def _can_be_read(path: Path) -> bool:
    """Return whether there is such a file.

    :raises EngineError: it cannot be read.
    """
    try:
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    return True


def _unusable(path: Path, reason: str) -> EngineError:
    return EngineError(
        f"{path} cannot be used for TLS: {reason}",
        hint="name another folder of certificates in DOCKER_CERT_PATH, or mend those of the docker context",
    )
