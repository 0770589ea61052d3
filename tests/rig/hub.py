"""A double of a Hugging Face Hub on loopback: its API and its addresses, as its documentation has them.

The real one cannot be reached from the tests.  A second server plays the one that large files are sent from.
"""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40


def git_sha1(content: bytes) -> str:
    """Return what git calls a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass
class PlayedHub:
    """One repository, `acme/images`, with one commit on `main`."""

    files: dict[str, bytes] = field(default_factory=dict)
    large: frozenset[str] = frozenset()
    """Files in LFS: listed with their sha256, and sent by the other server."""

    token: str | None = None
    """None: whoever asks gets it."""

    license: Any = "cc-by-4.0"
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the listing says otherwise than is so, by file."""

    answer: bytes | None = None
    """The whole answer of the API in place of the right one."""

    served: dict[str, bytes] = field(default_factory=dict)
    """What is sent in place of a file."""

    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Server, path and authorization of each request."""

    def __enter__(self) -> Self:
        self._servers = [_server(self, name) for name in ("hub", "store")]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def endpoint(self) -> str:
        """The address of the hub."""
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of it has."""
        return {"HF_ENDPOINT": self.endpoint} | ({"HF_TOKEN": self.token} if self.token else {})

    def respond(self, server: str, path: str, authorization: str | None) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        self.asked.append((server, path, authorization))
        if server == "store":
            return 200, {}, self.served.get(path[1:], self.files.get(path[1:], b""))
        if self.token is not None and authorization != f"Bearer {self.token}":
            return 401, {}, b""
        if path in {f"/api/datasets/acme/images/revision/{name}" for name in ("main", COMMIT)}:
            return 200, {}, self.answer or json.dumps(self._document()).encode()
        _, found, name = path.partition(f"/datasets/acme/images/resolve/{COMMIT}/")
        if not found or name not in self.files:
            return 404, {}, b""
        if name in self.large:
            store = f"http://localhost:{self._servers[1].server_port}/{name}"
            return 302, {"Location": store}, b""
        return 200, {}, self.served.get(name, self.files[name])

    def _document(self) -> dict[str, Any]:
        siblings = [{**self._sibling(name), **self.listed.get(name, {})} for name in self.files]
        return {
            "id": "acme/images",
            "sha": COMMIT,
            "cardData": {"license": self.license},
            "siblings": siblings,
        }

    def _sibling(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        found = {"rfilename": name, "size": len(content), "blobId": git_sha1(content)}
        if name in self.large:
            found["lfs"] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "pointerSize": 127,
            }
        return found


def _server(hub: PlayedHub, name: str) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            status, headers, body = hub.respond(name, path, self.headers.get("Authorization"))
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
