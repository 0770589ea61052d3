"""An HTTP server on loopback that misbehaves as told, one answer after the other."""

import base64
import contextlib
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.rig.web import POLL


@dataclass(slots=True)
class Turn:
    """How one request is answered; the last turn of a path is repeated."""

    status: int = 0
    """0: 200, or 206 for a range."""
    body: bytes | None = None
    """Instead of the file."""
    headers: dict[str, str] = field(default_factory=dict)
    """Added, or instead of the usual ones."""
    without_ranges: bool = False
    wrong_range: bool = False
    """Answer a range from byte 0 with 206."""
    drop_after: int | None = None
    """Bytes of the body sent before the connection is cut."""
    chunked: bool = False
    before: Callable[[], object] | None = None
    """Called before anything is answered."""
    pause_after: int | None = None
    """Bytes of the body sent before waiting for the server's `resume`."""


@dataclass(frozen=True, slots=True)
class Seen:
    path: str
    range: str | None
    authorization: str | None
    accept_encoding: str | None

    @property
    def credentials(self) -> str | None:
        if self.authorization is None:
            return None
        return base64.b64decode(self.authorization.removeprefix("Basic ")).decode()


class FaultyServer:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.turns: dict[str, list[Turn]] = {}
        self.seen: list[Seen] = []
        self.resume = threading.Event()
        self.paused = threading.Event()
        self.scheme = "http"
        self.address = ""
        self.lock = threading.Lock()

    def url(self, name: str) -> str:
        return f"{self.scheme}://{self.address}/{name}"

    def put(self, name: str, content: bytes, *turns: Turn) -> str:
        self.files[f"/{name}"] = content
        self.turns[f"/{name}"] = list(turns)
        return self.url(name)

    def asked(self, name: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == f"/{name}"]

    def turn(self, path: str) -> Turn:
        with self.lock:
            turns = self.turns.get(path, [])
            if not turns:
                return Turn()
            return turns.pop(0) if len(turns) > 1 else turns[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, faulty: FaultyServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faulty = faulty

    def handle_error(self, request: object, client_address: object) -> None:
        # clients hang up and refuse certificates on purpose; only other errors are worth a trace
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._answer()

    def _answer(self) -> None:
        faulty, headers = self.server.faulty, self.headers
        path = urlsplit(self.path).path
        faulty.seen.append(Seen(path, headers["Range"], headers["Authorization"], headers["Accept-Encoding"]))
        turn = faulty.turn(path)
        if turn.before:
            turn.before()
        content = faulty.files.get(path)
        if content is None or turn.status >= 400:
            self._reply(turn.status or 404, turn.body or b"", turn)
            return
        if turn.body is not None:
            content = turn.body
        if turn.without_ranges or headers["Range"] is None:
            self._reply(turn.status or 200, content, turn)
            return
        start = 0 if turn.wrong_range else int(headers["Range"].removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            self._reply(416, b"", turn)
            return
        span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._reply(206, content[start:], turn, span)

    def _reply(self, status: int, body: bytes, turn: Turn, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        usual = {"Transfer-Encoding": "chunked"} if turn.chunked else {"Content-Length": str(len(body))}
        for key, value in {**usual, **(extra or {}), **turn.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if turn.drop_after is not None:
            self.close_connection = True
            body = body[: turn.drop_after]
        if turn.pause_after is not None:
            self._write(body[: turn.pause_after], turn)
            self.server.faulty.paused.set()
            self.server.faulty.resume.wait(30)
            body = body[turn.pause_after :]
        self._write(body, turn)
        if turn.chunked and turn.drop_after is None:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, data: bytes, turn: Turn) -> None:
        if turn.chunked and data:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        self.wfile.write(data)
        self.wfile.flush()


@contextlib.contextmanager
def serving(certificate: Path | None = None) -> Iterator[FaultyServer]:
    """Serve over TLS with a certificate, which is a file that has its key too."""
    faulty = FaultyServer()
    server = _Server(faulty)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        faulty.scheme = "https"
    faulty.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(POLL,), daemon=True)
    thread.start()
    try:
        yield faulty
    finally:
        faulty.resume.set()
        server.shutdown()
        thread.join()
        server.server_close()
