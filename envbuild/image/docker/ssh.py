"""Docker Engines at ``ssh://``, reached as the docker client reaches them: through the program `ssh`.

A connection is one `ssh` whose remote command, ``docker system dial-stdio``, joins its streams to the socket
of the engine there (docker/cli, ``cli/connhelper``).  Docker's SDK has this too, but only beside paramiko.
"""

import shlex
import socket
from collections.abc import Mapping
from threading import Thread
from typing import Final
from urllib.parse import urlsplit

from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool

from envbuild import process
from envbuild.errors import EngineError

SCHEME: Final = "ssh://"

CONNECT_SECONDS: Final = 30
"""How long `ssh` tries to connect; as the docker client."""


class SshAdapter(UnixHTTPAdapter):
    """What Docker's SDK sends requests through; each connection is an `ssh`."""

    def __init__(self, host: str, environment: Mapping[str, str], *, timeout: int) -> None:
        """Connect to ``host`` with the variables of ``environment``; ``timeout`` is in seconds.

        :raises EngineError: ``host`` is not well formed.
        """
        # the socket is another for each connection
        super().__init__("http+unix:///", timeout)
        self._tunnels = Tunnels(ssh_command(host), environment)

    def said(self) -> str | None:
        """Return what the first `ssh` that failed said last; None: none failed, or it said nothing.

        To be called when no connection is open: it waits for those that end.
        """
        return self._tunnels.said()

    def get_connection(self, url: bytes | str, proxies: object = None) -> "_Pool":  # noqa: ARG002
        """Return the pool of connections; there are no proxies."""
        # the SDK has a pool for each URL, and to connect takes a second or more here
        with self.pools.lock:
            pool = self.pools.get(SCHEME)
            if not isinstance(pool, _Pool):
                pool = self.pools[SCHEME] = _Pool(self._tunnels, self.timeout)
            return pool


class Tunnels:
    """Starts a program for each connection."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        """``command`` speaks to the engine on its standard streams."""
        self._command = command
        self._environment = environment
        self._threads: list[Thread] = []
        self._errors: list[str] = []

    def said(self) -> str | None:
        """Return what the first program that failed said last; see :meth:`SshAdapter.said`."""
        for thread in self._threads:
            thread.join(process.GRACE_SECONDS)
        return next((line for error in self._errors for line in reversed(error.splitlines()) if line), None)

    def connect(self, timeout: float) -> socket.socket:
        """Return the streams of a new program, which ends with them.

        :raises OSError: none can be made.
        """
        ours, theirs = socket.socketpair()
        thread = Thread(target=self._run, args=(theirs,), daemon=True)
        self._threads = [*(other for other in self._threads if other.is_alive()), thread]
        thread.start()
        ours.settimeout(timeout)
        return ours

    def _run(self, theirs: socket.socket) -> None:
        try:
            result = process.run(self._command, environment=self._environment, joined=theirs)
        except process.ProgramMissingError as error:
            self._errors.append(error.message)
        else:
            if not result.succeeded:
                self._errors.append(result.stderr)


class _Pool(UnixHTTPConnectionPool):
    def __init__(self, tunnels: Tunnels, timeout: int) -> None:
        super().__init__("http+unix:///", "", timeout)
        self._tunnels = tunnels
        self._seconds = timeout

    def _new_conn(self) -> "_Connection":  # type: ignore[override]
        return _Connection(self._tunnels, self._seconds)


class _Connection(UnixHTTPConnection):
    def __init__(self, tunnels: Tunnels, timeout: int) -> None:
        super().__init__("http+unix:///", "", timeout)
        self._tunnels = tunnels
        self._seconds = timeout

    def connect(self) -> None:
        self.sock = self._tunnels.connect(self._seconds)


def ssh_command(host: str) -> tuple[str, ...]:
    """Return the program that joins its standard streams to the engine at ``host``.

    :raises EngineError: it is not well formed.
    """
    try:
        parts = urlsplit(host)
        name, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _not_well_formed(host) from error
    if not name or parts.password or parts.query or parts.fragment:
        raise _not_well_formed(host)
    # as it was written: names in the configuration of ssh have a case
    name = parts.netloc.rpartition("@")[2].lstrip("[")[: len(name)]
    # a shell reads it there
    there = f"--host={shlex.quote('unix://' + parts.path)} " if parts.path.strip("/") else ""
    return (
        *("ssh", "-o", f"ConnectTimeout={CONNECT_SECONDS}", "-T"),
        *(("-l", parts.username) if parts.username else ()),
        *(("-p", str(port)) if port else ()),
        *("--", name, f"docker {there}system dial-stdio"),
    )


def _not_well_formed(host: str) -> EngineError:
    # without the password that it may hold
    shown = SCHEME + host.removeprefix(SCHEME).rpartition("@")[2]
    return EngineError(
        f"`{shown}` names no engine", hint="name it as ssh://USER@HOST:PORT in DOCKER_HOST, with no password"
    )
