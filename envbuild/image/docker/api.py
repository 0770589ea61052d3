"""Docker's SDK, connected to an endpoint and configured by nothing else.

The SDK's own constructor reads the configuration file that the variables of its process name, and fails when
that is broken.  The engine may be asked for with other variables, and logins and proxies are given with each
request, so that constructor is not run.
"""

import contextlib
import os
from collections.abc import Mapping
from typing import Any, Final

import docker
import docker.errors
from docker.auth import AuthConfig
from docker.constants import DEFAULT_USER_AGENT
from docker.transport import UnixHTTPAdapter
from docker.utils.proxy import ProxyConfig
from docker.utils.utils import parse_host

from envbuild.errors import EngineError
from envbuild.image.docker.client_config import Endpoint
from envbuild.image.docker.ssh import SCHEME, SshAdapter

TIMEOUT_SECONDS: Final = 120

HERE: Final = "http+docker://localhost"
"""What the SDK calls an engine behind a socket of this machine."""


ELSEWHERE: Final = "http+docker://elsewhere"
"""The same for one that is reached through `ssh`: what the SDK calls ``http+docker://ssh`` has no sockets."""


class EngineClient(docker.DockerClient):
    """The SDK's client of one endpoint."""

    def __init__(
        self, endpoint: Endpoint, *, headers: Mapping[str, str], environment: Mapping[str, str]
    ) -> None:
        """Connect, and ask for the version of the API; ``headers`` go with every request.

        ``environment`` is that of `ssh`, where it is needed.

        :raises EngineError: `ssh` does not reach the engine.
        :raises docker.errors.DockerException: the endpoint is not well formed, or nothing answers.
        """
        self.api = _Api(endpoint, headers, environment)


class _Api(docker.APIClient):
    def __init__(
        self, endpoint: Endpoint, headers: Mapping[str, str], environment: Mapping[str, str]
    ) -> None:
        # the session's constructor, past the SDK's
        super(docker.APIClient, self).__init__()
        self.timeout = TIMEOUT_SECONDS
        self.headers.update({**headers, "User-Agent": DEFAULT_USER_AGENT})
        self.credstore_env = None
        self._general_configs: dict[str, object] = {}
        self._auth_configs = AuthConfig({})
        self._proxy_configs = ProxyConfig()
        self._custom_adapter: UnixHTTPAdapter | None = None
        if endpoint.host and endpoint.host.startswith(SCHEME):
            self._custom_adapter = SshAdapter(endpoint.host, environment, timeout=TIMEOUT_SECONDS)
            self.base_url = ELSEWHERE
        elif (url := _url_of(endpoint)).startswith("http+unix://"):
            self._custom_adapter = UnixHTTPAdapter(url, TIMEOUT_SECONDS)
            self.base_url = HERE
        else:
            self.base_url = url
            if endpoint.tls is not None:
                endpoint.tls.configure_client(self)
        if self._custom_adapter is not None:
            self.mount("http+docker://", self._custom_adapter)
        try:
            self._version = self._version_of_engine()
        except Exception as error:
            self.close()
            said = self._custom_adapter.said() if isinstance(self._custom_adapter, SshAdapter) else None
            if said is None:
                raise
            raise EngineError(
                f"the engine at {endpoint.host} cannot be reached through ssh",
                hint="`docker version` must reach it too, with no question asked: ssh needs the host's key, "
                "and yours in a file or an agent; the docker client must be installed there",
                detail=said,
            ) from error

    def create_container_from_config(
        self, config: dict[str, Any], name: str | None = None, platform: str | None = None
    ) -> Any:
        """Create a container; one with a terminal begins with the size of this one.

        The SDK has no word for it.  A size that is set after the start comes too late for what asks at once.
        """
        if config.get("Tty"):
            with contextlib.suppress(OSError):
                size = os.get_terminal_size(0)
                config["HostConfig"]["ConsoleSize"] = [size.lines, size.columns]
        return super().create_container_from_config(config, name, platform)  # type: ignore[no-untyped-call]

    def _version_of_engine(self) -> str:
        answer: object = self.version(api_version=False)
        version = answer.get("ApiVersion") if isinstance(answer, dict) else None
        if not isinstance(version, str):
            raise docker.errors.DockerException("what answers there is no Docker Engine")
        return version


def _url_of(endpoint: Endpoint) -> str:
    """Return the endpoint as the SDK writes it.

    :raises docker.errors.DockerException: it is not well formed.
    """
    try:
        return str(parse_host(endpoint.host, tls=endpoint.tls is not None))
    except ValueError as error:
        raise docker.errors.DockerException(f"{endpoint.host} is not well formed: {error}") from error
