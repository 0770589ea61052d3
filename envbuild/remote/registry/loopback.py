"""A registry for one image, on the loopback interface, for as long as an engine pulls it.

An engine that pulls asks only for the blobs it lacks and fetches several at once; one that is fed an archive
can do neither.  The repository's name is a secret: other users of the machine can reach the port.

HTTP/1.1 throughout: containerd tries TLS first, and takes an answer in HTTP/1.0 for a broken one.
"""

import contextlib
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

ADDRESS: Final = "127.0.0.1"

_OK, _PARTIAL, _NOT_FOUND, _RANGE, _UNAVAILABLE = 200, 206, 404, 416, 503
_FROM = re.compile(r"bytes=(\d+)-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the registry has."""

    manifests: Mapping[str, tuple[str, bytes]]
    """Media type and bytes by digest."""

    documents: Mapping[str, bytes]
    """Small blobs by digest."""

    files: Mapping[str, Callable[[], Path]]
    """How to get the file of a large blob, by digest; asked for only when the engine wants it."""


@contextlib.contextmanager
def serving(offer: Offer, *, on_bytes: Callable[[int], None]) -> Iterator[str]:
    """Yield ``host:port/repository`` of a registry with ``offer``; it ends with the block.

    When the block fails because a file could not be had, the reason for that is raised.
    """
    repository = f"envbuild/{secrets.token_hex(16)}"

    class Handler(_OfferHandler):
        pass

    failures: list[Exception] = []
    Handler.offer, Handler.repository, Handler.on_bytes = offer, repository, staticmethod(on_bytes)
    Handler.failures = failures
    server = _Server((ADDRESS, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"{ADDRESS}:{server.server_address[1]}/{repository}"
    except Exception as error:
        # what the engine says of it is that a blob could not be had
        if failures:
            raise failures[0] from error
        raise
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: engines hang up when they have what they want."""


class _OfferHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # what http.server assumes of a request it cannot read, such as the first bytes of TLS
    default_request_version = "HTTP/1.1"
    offer: Offer
    repository: str
    on_bytes: Callable[[int], None]
    failures: list[Exception]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with what is asked for."""
        if self.path in {"/v2", "/v2/"}:
            self._send(_OK, b"{}", "application/json")
            return
        kind, _, digest = self.path.removeprefix(f"/v2/{self.repository}/").partition("/")
        if kind == "manifests" and digest in self.offer.manifests:
            media_type, data = self.offer.manifests[digest]
            self._send(_OK, data, media_type, digest)
        elif kind == "blobs" and digest in self.offer.documents:
            self._send(_OK, self.offer.documents[digest], "application/octet-stream", digest)
        elif kind == "blobs" and digest in self.offer.files:
            self._send_file(digest)
        else:
            self._send(_NOT_FOUND, b'{"errors":[]}', "application/json")

    def do_HEAD(self) -> None:
        """Answer with the headers of what is asked for."""
        self.do_GET()

    def _send(self, status: int, data: bytes, media_type: str, digest: str | None = None) -> None:
        self._head(status, len(data), media_type, digest)
        if self.command != "HEAD":
            self.wfile.write(data)

    def _send_file(self, digest: str) -> None:
        try:
            path = self.offer.files[digest]()
            size = path.stat().st_size
        except Exception as error:  # noqa: BLE001 - it is raised in the thread that serves
            self.failures.append(error)
            self._send(_UNAVAILABLE, b'{"errors":[]}', "application/json")
            return
        asked = _FROM.match(self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if start > size:
            self._send(_RANGE, b"", "text/plain")
            return
        self._head(
            _PARTIAL if start else _OK,
            size - start,
            "application/octet-stream",
            digest,
            part=f"bytes {start}-{size - 1}/{size}",
        )
        if self.command == "HEAD":
            return
        with path.open("rb") as file, contextlib.suppress(ConnectionError):
            file.seek(start)
            sent = self.connection.sendfile(file, offset=start)
            self.on_bytes(sent)

    def _head(self, status: int, length: int, media_type: str, digest: str | None, *, part: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(length))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        if status == _PARTIAL:
            self.send_header("Content-Range", part)
        self.end_headers()
