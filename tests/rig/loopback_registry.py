"""A small image registry on the loopback interface, with logins, storage elsewhere, and faults.

What Debian's real registry can do is tested against that one; this one plays the rest: token services,
redirects to another host, rate limits, connections that break, content that is not what it should be.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.rig.web import POLL, LoopbackHTTPServer

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class FakeRegistry:
    """What the registry holds and how it behaves; change it while it runs."""

    host: str = ""
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    """(repository, tag or digest) → media type and bytes."""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    login: str = ""
    """`Basic`, `Bearer`, or none."""
    password: str = "user:secret"
    refresh_token: str = ""
    token_seconds: int | None = 300
    tokens: dict[str, list[str]] = field(default_factory=dict)
    """Token → the scopes it was given for."""
    given: int = 0
    """How many tokens were given."""

    grants: bool = True
    """Whether a token opens anything."""

    hides_missing: bool = False
    """The token service refuses who only asks to pull from a repository that is not there."""

    revoke_after: list[int] = field(default_factory=list)
    """After how many chunks, from 1, all tokens given so far end."""

    challenge: str = ""
    """Sent instead of its own `WWW-Authenticate`."""
    token_answer: tuple[int, bytes] | None = None
    """Status and body of the token service, instead of a token."""
    read_only: bool = False
    closed: list[str] = field(default_factory=list)
    """Repositories this login may not read: nothing can be mounted from there."""
    bad_request: bool = False
    """Every question for a manifest is answered 400."""

    storage: str = ""
    """Base address that blobs are redirected to."""
    limited: int = 0
    """How many requests are answered 429."""
    retry_after: str = "0"
    unavailable: int = 0
    """How many uploads are answered 503."""
    asked_wait: str = ""
    """`Retry-After` beside a 503."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    """What came of each upload, by its number."""
    hang_up_at: list[int] = field(default_factory=list)
    """After how many bytes of it each of the next chunks breaks off; the registry keeps those bytes."""
    forgets: list[int] = field(default_factory=list)
    """The numbers of the chunks, from 1, after which all uploads are forgotten."""
    chunks: int = 0
    """How many chunks came."""
    no_chunks: bool = False
    """Chunks are answered 405."""
    least_chunk: str = ""
    """`OCI-Chunk-Min-Length`."""
    drop_at: list[int] = field(default_factory=list)
    """After how many bytes each of the next blobs breaks off."""
    ignore_ranges: bool = False
    unended: bool = False
    """Blobs come whole, but the connection breaks where their end would be announced."""
    swap: dict[str, bytes] = field(default_factory=dict)
    """Digest → what is sent in its place."""
    tags_a_page: int = 2
    no_tags: bool = False
    digest_header: bool = True

    def put_manifest(self, repository: str, tag: str, document: Mapping[str, object]) -> str:
        data = json.dumps(document).encode()
        digest = digest_of(data)
        kind = str(document.get("mediaType", MANIFEST))
        for name in (tag, digest):
            self.manifests[repository, name] = kind, data
        return digest

    def put_blob(self, repository: str, data: bytes) -> dict[str, object]:
        self.blobs[repository, digest_of(data)] = data
        return {"mediaType": LAYER, "digest": digest_of(data), "size": len(data)}

    def put_image(
        self,
        repository: str,
        tag: str,
        layers: tuple[bytes, ...] = (),
        *,
        architecture: str = "amd64",
        config: Mapping[str, object] | None = None,
    ) -> str:
        descriptors = [self.put_blob(repository, layer) for layer in layers]
        document = {
            "os": "linux",
            "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            **(config or {}),
        }
        described = self.put_blob(repository, json.dumps(document).encode()) | {"mediaType": CONFIG}
        return self.put_manifest(
            repository,
            tag,
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": descriptors},
        )

    def put_index(self, repository: str, tag: str, platforms: Mapping[str, str]) -> str:
        """Store an index of manifests that are there, by `os/architecture[/variant]`."""
        entries = []
        for platform, digest in platforms.items():
            system, _, rest = platform.partition("/")
            architecture, _, variant = rest.partition("/")
            fields = {"os": system, "architecture": architecture, "variant": variant}
            entries.append(
                {
                    "mediaType": MANIFEST,
                    "digest": digest,
                    "size": len(self.manifests[repository, digest][1]),
                    **({"platform": {k: v for k, v in fields.items() if v}} if platform else {}),
                }
            )
        return self.put_manifest(
            repository, tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        )

    def paths(self, method: str) -> list[str]:
        return [request.path for request in self.seen if request.method == method]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def loopback_registry() -> Iterator[FakeRegistry]:
    """Run an empty registry on a free port."""
    registry = FakeRegistry()

    class Handler(_Handler):
        fake = registry

    server = LoopbackHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(POLL,), daemon=True)
    thread.start()
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fake: FakeRegistry

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        hangs_up = self.command == "PATCH" and bool(self.fake.hang_up_at)
        self.body = self.rfile.read(self.fake.hang_up_at.pop(0) if hangs_up else length)
        if hangs_up:
            self.fake.uploads[urlsplit(self.path).path.rpartition("/")[2]] += self.body
            self.close_connection = True
            return
        self.query = parse_qs(parts.query, keep_blank_values=True)
        fake = self.fake
        fake.seen.append(
            Seen(
                method=self.command,
                path=parts.path,
                query=self.query,
                headers={key.lower(): value for key, value in self.headers.items()},
                body=self.body,
            )
        )
        if parts.path == "/token":
            self._token()
        elif fake.limited:
            fake.limited -= 1
            self._send(429, _error("TOOMANYREQUESTS", "slow down"), {"Retry-After": fake.retry_after})
        elif not self._may() or (self.query.get("from", [""])[0] in fake.closed):
            self._challenge(parts.path)
        elif parts.path == "/v2/":
            self._send(200, b"{}")
        elif fake.read_only and self.command in {"POST", "PUT"}:
            self._send(405, _error("UNSUPPORTED", "read only"))
        elif match := re.fullmatch(r"/v2/(.+)/(manifests|blobs|tags|blobs/uploads)/(.*)", parts.path):
            self._route(*match.groups())
        else:
            self._send(404)

    def _route(self, repository: str, kind: str, name: str) -> None:
        if kind == "manifests":
            self._manifest(repository, name)
        elif kind == "tags":
            self._tags(repository)
        elif kind == "blobs/uploads" or name.startswith("uploads"):
            self._upload(repository)
        else:
            self._blob(repository, name)

    def _may(self) -> bool:
        header = self.headers.get("Authorization", "")
        if self.fake.login == "Basic":
            return header == f"Basic {base64.b64encode(self.fake.password.encode()).decode()}"
        if self.fake.login == "Bearer":
            return self.fake.grants and header.removeprefix("Bearer ") in self.fake.tokens
        return True

    def _challenge(self, path: str) -> None:
        header = self.fake.challenge or 'Basic realm="tests"'
        if self.fake.login == "Bearer" and not self.fake.challenge:
            match = re.match(r"/v2/(.+)/(?:manifests|blobs|tags)/", path)
            scope = f',scope="repository:{match[1]}:pull"' if match else ""
            header = f'Bearer realm="http://{self.fake.host}/token",service="tests"{scope}'
        self._send(401, _error("UNAUTHORIZED", "authentication required"), {"WWW-Authenticate": header})

    def _token(self) -> None:
        fake = self.fake
        if fake.token_answer:
            self._send(*fake.token_answer)
            return
        form = parse_qs(self.body.decode())
        basic = f"Basic {base64.b64encode(fake.password.encode()).decode()}"
        given = self.headers.get("Authorization")
        if (fake.refresh_token and form.get("refresh_token") != [fake.refresh_token]) or (
            not fake.refresh_token and given not in {basic, None}
        ):
            self._send(401)
            return
        scopes = (form or self.query).get("scope", [])
        if fake.hides_missing and all(self._is_hidden(scope) for scope in scopes):
            self._send(403, _error("DENIED", "requested access to the resource is denied"))
            return
        fake.given += 1
        token = f"token-{fake.given - 1}"
        fake.tokens[token] = scopes
        answer: dict[str, object] = {"token": token}
        if fake.token_seconds is not None:
            answer["expires_in"] = fake.token_seconds
        self._send(200, json.dumps(answer).encode())

    def _is_hidden(self, scope: str) -> bool:
        repository, _, actions = scope.removeprefix("repository:").rpartition(":")
        return "push" not in actions and not any(name == repository for name, _ in self.fake.manifests)

    def _manifest(self, repository: str, name: str) -> None:
        fake = self.fake
        if self.command == "PUT":
            for key in (name, digest_of(self.body)):
                fake.manifests[repository, key] = self.headers["Content-Type"], self.body
            self._send(201)
            return
        if fake.bad_request:
            self._send(400)
            return
        if (repository, name) not in fake.manifests:
            known = any(key[0] == repository for key in fake.manifests)
            self._send(404, _error("MANIFEST_UNKNOWN" if known else "NAME_UNKNOWN", "unknown"))
            return
        kind, data = fake.manifests[repository, name]
        headers = {"Docker-Content-Digest": digest_of(data)} if fake.digest_header else {}
        self._send(200, fake.swap.get(digest_of(data), data), {"Content-Type": kind, **headers})

    def _tags(self, repository: str) -> None:
        tags = [tag for name, tag in self.fake.manifests if name == repository and ":" not in tag]
        if self.fake.no_tags:
            self._send(405)
        elif not tags:
            self._send(404, _error("NAME_UNKNOWN", "unknown"))
        else:
            # two a page, whatever was asked for
            last = self.query.get("last", [""])[0]
            start = tags.index(last) + 1 if last else 0
            size = self.fake.tags_a_page
            page = tags[start : start + size]
            more = start + size < len(tags)
            link = (
                {"Link": f'</v2/{repository}/tags/list?n={size}&last={page[-1]}>; rel="next"'} if more else {}
            )
            self._send(200, json.dumps({"name": repository, "tags": page}).encode(), link)

    def _blob(self, repository: str, digest: str) -> None:
        fake = self.fake
        if (repository, digest) not in fake.blobs:
            self._send(404, _error("BLOB_UNKNOWN", "unknown"))
            return
        if fake.storage:
            self._send(307, b"", {"Location": f"{fake.storage}/v2/{repository}/blobs/{digest}"})
            return
        data = fake.swap.get(digest, fake.blobs[repository, digest])
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if fake.ignore_ranges:
            start = 0
        if fake.unended:
            self._send_unended(data)
        else:
            self._send(206 if start else 200, data[start:], drops=True)

    def _send_unended(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.close_connection = True

    def _upload(self, repository: str) -> None:
        fake = self.fake
        number = urlsplit(self.path).path.rpartition("/")[2]
        if self.command == "POST":
            self._begin_upload(repository)
        elif fake.unavailable:
            fake.unavailable -= 1
            self._send(503, b"", {"Retry-After": fake.asked_wait} if fake.asked_wait else {})
        elif self.query.get("state") != ["a/b"]:
            self._send(400, _error("DIGEST_INVALID", "not what was announced"))
        elif number not in fake.uploads:
            self._send(404, _error("BLOB_UPLOAD_UNKNOWN", "unknown"))
        elif self.command == "GET":
            self._send(204, b"", self._upload_headers(repository, number))
        elif self.command == "PATCH":
            self._chunk(repository, number)
        else:
            whole = fake.uploads[number] + self.body
            if self.query.get("digest") == [digest_of(whole)]:
                fake.blobs[repository, digest_of(whole)] = whole
                self._send(201)
            else:
                self._send(400, _error("DIGEST_INVALID", "not what was announced"))

    def _begin_upload(self, repository: str) -> None:
        fake = self.fake
        source, mounted = self.query.get("from", [""])[0], self.query.get("mount", [""])[0]
        if (source, mounted) in fake.blobs:
            fake.blobs[repository, mounted] = fake.blobs[source, mounted]
            self._send(201)
            return
        number = str(len(fake.uploads) + 1)
        while number in fake.uploads:
            number += "0"
        fake.uploads[number] = b""
        least = {"OCI-Chunk-Min-Length": fake.least_chunk} if fake.least_chunk else {}
        self._send(202, b"", self._upload_headers(repository, number) | least)

    def _chunk(self, repository: str, number: str) -> None:
        fake = self.fake
        if fake.no_chunks:
            self._send(405, _error("UNSUPPORTED", "no chunks here"))
            return
        start = int(self.headers["Content-Range"].partition("-")[0])
        if start != len(fake.uploads[number]):
            self._send(416)
            return
        fake.uploads[number] += self.body
        fake.chunks += 1
        headers = self._upload_headers(repository, number)
        if fake.chunks in fake.revoke_after:
            fake.tokens.clear()
        if fake.chunks in fake.forgets:
            fake.uploads.clear()
        self._send(202, b"", headers)

    def _upload_headers(self, repository: str, number: str) -> dict[str, str]:
        last = max(len(self.fake.uploads[number]) - 1, 0)
        return {
            "Location": f"/v2/{repository}/blobs/uploads/{number}?state=a%2Fb",
            "Range": f"0-{last}",
        }

    def _send(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, drops: bool = False
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if drops and self.fake.drop_at:
            body = body[: self.fake.drop_at.pop(0)]
            self.close_connection = True
        self.wfile.write(body)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()
