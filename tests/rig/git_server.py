"""A git server on the loopback interface: the real `git http-backend` behind a small HTTP server."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from envbuild import process
from tests.rig.web import POLL, LoopbackHTTPServer

_IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_AUTHOR_DATE": "2025-01-02T03:04:05+00:00",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_COMMITTER_DATE": "2025-01-02T03:04:05+00:00",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "file",
}


@dataclass(slots=True)
class GitFaults:
    """What is special about a server."""

    redirects: dict[str, str] = field(default_factory=dict)
    """First part of a path, and the address that requests for it are sent to."""
    needs_login: set[str] = field(default_factory=set)
    """First parts of paths that answer 401."""
    only_advertised: bool = False
    """The oldest protocol: no commit is given that is not a branch or tag."""


class Repository:
    """A repository with a work tree; what is committed is served at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        result = process.run(
            ["git", "-C", self.folder, *arguments], environment={"PATH": os.environ["PATH"]} | _IDENTITY
        )
        assert result.succeeded, result.stderr
        return result.stdout.strip()

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes] | None = None, message: str = "change") -> str:
        """Write files, commit all that is there, and return the commit."""
        self.write(files or {})
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git("rev-parse", "HEAD")

    def add_submodule(self, path: str, url: str, commit: str) -> None:
        """Enter a submodule by hand: no address is looked at."""
        with (self.folder / ".gitmodules").open("a") as stream:
            stream.write(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
        self.git("add", ".gitmodules")
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        self.git("commit", "--quiet", "--message=submodule")


class GitServer:
    """Serve the repositories of a folder.  Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults = GitFaults()
        self.requests: list[str] = []
        self._server = _GitHTTPServer(folder, self.faults, self.requests)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def repository(self, name: str) -> Repository:
        """Make a repository; its address is :meth:`address` of that name."""
        return Repository(self.folder / name)

    def address(self, name: str) -> str:
        return f"{self.url}/{name}/.git"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _GitHTTPServer(LoopbackHTTPServer):
    def __init__(self, folder: Path, faults: GitFaults, requests: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _GitHandler)
        self.folder = folder
        self.faults = faults
        self.requests = requests


class _GitHandler(BaseHTTPRequestHandler):
    server: _GitHTTPServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        parts = urlsplit(self.path)
        first = parts.path.split("/")[1]
        self.server.requests.append(parts.path)
        if target := self.server.faults.redirects.get(first):
            self._reply(301, {"Location": f"{target}{self.path.removeprefix(f'/{first}')}"}, b"")
        elif first in self.server.faults.needs_login:
            self._reply(401, {"WWW-Authenticate": "Basic realm=x"}, b"")
        else:
            self._reply(*self._run_backend(parts.path, parts.query, body))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = bytearray()
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    def _run_backend(self, path: str, query: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        protocol = "" if self.server.faults.only_advertised else self.headers.get("Git-Protocol", "")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": protocol,
            "REMOTE_ADDR": "127.0.0.1",
        }
        result = process.run(["git", "http-backend"], environment=environment, standard_input=body)
        head, _, content = result.stdout_bytes.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        return int(headers.pop("Status", "200").split()[0]), headers, content

    def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
