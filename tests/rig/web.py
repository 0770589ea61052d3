"""An HTTP server on the loopback interface, with faults that can be switched on."""

import base64
import io
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import unquote, urlsplit

ALWAYS = sys.maxsize
POLL = 0.005
"""Seconds until a server notices that it is to end; thousands of tests wait for theirs."""
_CHUNK = 1 << 20


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came in; tests count these."""

    method: str
    path: str
    """Decoded, without the query."""
    accept: str
    range: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to send: the bytes, or the file."""

    content: bytes | Path
    media_type: str = "application/octet-stream"


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong.  A key is the last component of a path: `demo-1.0-py3-none-any.whl`, `demo`."""

    corrupt: set[str] = field(default_factory=set)
    """One byte in the middle is another; length and headers are right."""
    drop: dict[str, int] = field(default_factory=dict)
    """How many times the connection ends in the middle of the body."""
    unavailable: dict[str, int] = field(default_factory=dict)
    """How many times the answer is 503."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def due(self, counts: dict[str, int], name: str) -> bool:
        """Whether the fault strikes now, and count it."""
        with self.lock:
            left = counts.get(name, 0)
            if left > 0:
                counts[name] = left - 1
            return left > 0


class LoopbackServer:
    """Serve what `answer` returns, from a free port; `None` is a 404.  Use as a context manager."""

    def __init__(
        self,
        answer: Callable[[Request], Answer | None],
        *,
        faults: Faults | None = None,
        auth: tuple[str, str] | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.requests: list[Request] = []
        self._server = _Server(answer, self.faults, self.requests, auth)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def requested(self, name: str) -> int:
        """How often a path ending in `name` was asked for."""
        return sum(request.path.rstrip("/").rpartition("/")[2] == name for request in self.requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class LoopbackHTTPServer(ThreadingHTTPServer):
    """Answer each connection in a thread; a client that hangs up is no error."""

    # A client that keeps its connection must not keep the test from ending.
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        # Clients hang up, on purpose in some tests; only other errors are worth a trace.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Server(LoopbackHTTPServer):
    def __init__(
        self,
        answer: Callable[[Request], Answer | None],
        faults: Faults,
        requests: list[Request],
        auth: tuple[str, str] | None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.faults = faults
        self.requests = requests
        credentials = base64.b64encode(":".join(auth).encode()).decode() if auth else ""
        self.authorization = f"Basic {credentials}" if auth else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_HEAD(self) -> None:
        self._respond()

    def do_GET(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class named it
        """Say nothing: `requests` has it."""

    def _respond(self) -> None:
        server = self.server
        request = Request(
            method=self.command,
            path=unquote(urlsplit(self.path).path),
            accept=self.headers.get("Accept", ""),
            range=self.headers.get("Range", ""),
        )
        server.requests.append(request)
        name = request.path.rstrip("/").rpartition("/")[2]
        if server.authorization and self.headers.get("Authorization") != server.authorization:
            self._refuse(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="tests"'})
        elif server.faults.due(server.faults.unavailable, name):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "0"})
        elif (answer := server.answer(request)) is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self._send(answer, name)

    def _refuse(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, answer: Answer, name: str) -> None:
        content = answer.content
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        span = _span(self.headers.get("Range", ""), size)
        if span is None:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{size}"})
            return
        start, end = span
        partial = (start, end) != (0, size)
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.faults.due(self.server.faults.drop, name):
            end = start + (end - start) // 2
            self.close_connection = True
        wrong_at = size // 2 if name in self.server.faults.corrupt else -1
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
            self._copy(stream, start, end, wrong_at)

    def _copy(self, stream: BinaryIO, start: int, end: int, wrong_at: int) -> None:
        stream.seek(start)
        position = start
        while position < end:
            chunk = bytearray(stream.read(min(_CHUNK, end - position)))
            if position <= wrong_at < position + len(chunk):
                chunk[wrong_at - position] ^= 0xFF
            self.wfile.write(chunk)
            position += len(chunk)


def _span(header: str, size: int) -> tuple[int, int] | None:
    """Return the bytes that a Range header asks for, `[start, end)`; `None` if there are none.

    One range is understood; of anything else the whole is sent, as the standard allows.
    """
    unit, _, wanted = header.partition("=")
    first, dash, last = wanted.strip().partition("-")
    if unit.strip() != "bytes" or not dash or "," in wanted:
        return 0, size
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < end else None
