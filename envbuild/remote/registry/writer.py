"""What image registries are told: blobs and manifests to store.  The distribution API, version 1.1.

Small blobs go in one request.  Large ones go in chunks, and a chunk that breaks is taken up at the byte the
registry says it has; an upload the registry has forgotten is begun anew.
"""

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import requests

from envbuild.digest import sha256_file
from envbuild.errors import IntegrityError, NetworkError
from envbuild.oci.reference import ImageReference
from envbuild.remote.registry.auth import LoginError
from envbuild.remote.registry.errors import refused, short
from envbuild.remote.registry.transport import FileSlice, RegistryBusyError, RegistryTransport

UPLOAD_DELAYS_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Waits before an upload that broke goes on; one that moved in between starts the count anew.

One break may cost three of them: the registry still knows the upload when it is asked, has forgotten it when
the next chunk comes, and closes the connection that it said so on (seen of distribution 2.8).
"""

CHUNK_BYTES: Final = 32 << 20
"""What goes in one request: larger blobs are sent in chunks of this size.  A break costs at most this."""

_PUSH: Final = "pull,push"
_OK, _CREATED, _ACCEPTED, _NO_CONTENT = 200, 201, 202, 204
_BAD_REQUEST, _NOT_FOUND, _RANGE = 400, 404, 416
_RECEIVED = re.compile(r"(?:bytes=)?0-(\d+)")

Content = Path | bytes | Callable[[], Path]
"""The bytes of a blob, a file that holds them, or how to get one when it comes to that."""


class RegistryWriter:
    """Stores what an image consists of, one piece a call; safe to share between threads.

    The registry wants the blobs before the manifest that names them; their order among themselves is free.
    """

    def __init__(
        self,
        transport: RegistryTransport,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._transport = transport
        self._sleep = sleep
        self._chunk_bytes = chunk_bytes

    def has_blob(self, reference: ImageReference, digest: str) -> bool:
        """Return whether the repository has the blob."""
        response = self._transport.send("HEAD", reference, f"{reference.repository}/blobs/{digest}")
        return response.status_code == _OK

    def put_blob(
        self,
        reference: ImageReference,
        digest: str,
        content: Content,
        *,
        mount_from: str | None = None,
        on_bytes: Callable[[int], None] = lambda _size: None,
    ) -> bool:
        """Store a blob in the repository of ``reference``; return whether its bytes had to be sent.

        ``mount_from`` names a repository of the same registry that may have it.  A file is streamed, never
        held.  ``on_bytes`` is told how many bytes went out, and a negative number when some were lost.

        :raises NetworkError: the registry is out of reach or refuses, also after several attempts.
        :raises IntegrityError: the file does not hold the blob.
        """
        if self.has_blob(reference, digest):
            return False
        upload = _Upload(
            self._transport,
            reference=reference,
            digest=digest,
            content=content,
            mount_from=mount_from,
            on_bytes=on_bytes,
            chunk_bytes=self._chunk_bytes,
        )
        delays = iter(UPLOAD_DELAYS_SECONDS)
        while True:
            before = upload.offset
            try:
                return upload.go_on()
            except LoginError:
                raise
            except NetworkError as error:
                if upload.offset > before:
                    delays = iter(UPLOAD_DELAYS_SECONDS)
                delay = next(delays, None)
                if delay is None or upload.is_refused:
                    raise
                asked = error.wait_seconds if isinstance(error, RegistryBusyError) else None
                self._sleep(max(delay, asked or 0.0))

    def put_manifest(self, reference: ImageReference, media_type: str, data: bytes) -> str:
        """Store a manifest or index under the tag or digest of ``reference``; return its digest.

        :raises NetworkError: the registry is out of reach or refuses, also after several attempts.
        """
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        delays = iter(UPLOAD_DELAYS_SECONDS)
        while True:
            try:
                response = self._transport.send(
                    "PUT",
                    reference,
                    f"{reference.repository}/manifests/{reference.locator}",
                    actions=_PUSH,
                    headers={"Content-Type": media_type},
                    body=data,
                )
            except RegistryBusyError as error:
                delay = next(delays, None)
                if delay is None:
                    raise
                self._sleep(max(delay, error.wait_seconds or 0.0))
                continue
            if response.status_code != _CREATED:
                raise refused(reference, "the manifest", response)
            return digest


class _Upload:
    """One blob on its way; what is known of it outlives a broken attempt."""

    def __init__(
        self,
        transport: RegistryTransport,
        *,
        reference: ImageReference,
        digest: str,
        content: Content,
        mount_from: str | None,
        on_bytes: Callable[[int], None],
        chunk_bytes: int,
    ) -> None:
        self._transport = transport
        self._reference = reference
        self._digest = digest
        self._content = content
        self._mount_from = mount_from
        self._on_bytes = on_bytes
        self._chunk_bytes = chunk_bytes
        self._location: str | None = None
        self._told = 0
        self._in_chunks = True
        self.offset = 0
        """Bytes the registry has of this upload."""
        self.is_refused = False
        """Whether the registry has said something that another attempt does not change."""

    def go_on(self) -> bool:
        """Begin, or take up where it broke; return whether bytes had to be sent.

        :raises NetworkError: it broke, or is refused.
        """
        if self._location is None:
            if self._begin():
                return False
        elif self.offset or self._told:
            self._look_back()
        content = self._content() if callable(self._content) else self._content
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        while self._in_chunks and isinstance(content, Path) and size - self.offset > self._chunk_bytes:
            self._send_chunk(content, size)
        try:
            self._finish(content, size)
        except NetworkError:
            if not self.offset:
                # a single request that broke is begun anew: nobody knows what became of it
                self._forget()
            raise
        return True

    def _begin(self) -> bool:
        """Open an upload; return whether the registry had the blob elsewhere and needs none."""
        begun = self._post()
        if begun.status_code == _CREATED:
            return True
        location = begun.headers.get("Location")
        if begun.status_code != _ACCEPTED or not location:
            self.is_refused = True
            raise refused(self._reference, "an upload", begun)
        self._location = location
        least = begun.headers.get("OCI-Chunk-Min-Length", "")
        if least.isdecimal():
            self._chunk_bytes = max(self._chunk_bytes, int(least))
        return False

    def _post(self) -> requests.Response:
        path = f"{self._reference.repository}/blobs/uploads/"
        if self._mount_from:
            mount = {"mount": self._digest, "from": self._mount_from}
            try:
                return self._send("POST", path, body=b"", params=mount)
            except LoginError:
                # who may push here need not be allowed to read there
                self._mount_from = None
        return self._send("POST", path, body=b"")

    def _look_back(self) -> None:
        """Ask the registry how much it has; begin anew when it has forgotten."""
        response = self._send("GET", self._location or "")
        received = _RECEIVED.fullmatch(response.headers.get("Range", ""))
        if response.status_code not in {_OK, _NO_CONTENT} or not received:
            self._forget()
            self._begin()
            return
        self._location = response.headers.get("Location", self._location)
        last = int(received[1])
        # "0-0" is what some say of an upload that has nothing
        self._set_offset(last + 1 if last else 0)

    def _send_chunk(self, file: Path, size: int) -> None:
        length = min(self._chunk_bytes, size - self.offset)
        end = self.offset + length
        response = self._send(
            "PATCH",
            self._location or "",
            body=self._slice(file, length),
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{self.offset}-{end - 1}",
            },
        )
        if response.status_code == _NOT_FOUND:
            self._forget()
            raise RegistryBusyError(
                f"{self._reference.registry} has forgotten an upload", hint="try again; its disk may be full"
            )
        if response.status_code == _RANGE:
            raise RegistryBusyError(
                f"{self._reference.registry} has another part of an upload than it said", hint="try again"
            )
        if response.status_code != _ACCEPTED:
            # chunks are optional: the whole in one request is what every registry takes
            self._forget()
            self._in_chunks = False
            self._begin()
            return
        self._location = response.headers.get("Location", self._location)
        self._set_offset(end)

    def _finish(self, content: Path | bytes, size: int) -> None:
        body = content if isinstance(content, bytes) else self._slice(content, size - self.offset)
        done = self._send(
            "PUT",
            _with_digest(self._location or "", self._digest),
            body=body,
            headers={"Content-Type": "application/octet-stream"},
        )
        if done.status_code == _CREATED:
            self._set_offset(size)
            return
        if done.status_code == _NOT_FOUND:
            self._forget()
            raise RegistryBusyError(
                f"{self._reference.registry} has forgotten an upload", hint="try again; its disk may be full"
            )
        self.is_refused = True
        if done.status_code == _BAD_REQUEST and isinstance(content, Path):
            _require_intact(content, self._digest)
        raise refused(self._reference, short(self._digest), done)

    def _slice(self, file: Path, size: int) -> FileSlice:
        return FileSlice(path=file, start=self.offset, size=size, on_bytes=self._tell)

    def _tell(self, size: int) -> None:
        self._told += size
        self._on_bytes(size)

    def _set_offset(self, offset: int) -> None:
        """Note what the registry has, and set right what was told of it."""
        self.offset = offset
        if offset != self._told:
            self._on_bytes(offset - self._told)
            self._told = offset

    def _forget(self) -> None:
        self._location = None
        self._set_offset(0)

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: FileSlice | bytes | None = None,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
    ) -> requests.Response:
        return self._transport.send(
            method,
            self._reference,
            path,
            actions=_PUSH,
            also_from=self._mount_from,
            params=params,
            headers=headers,
            body=body,
        )


def _require_intact(file: Path, digest: str) -> None:
    """Return if a file holds the blob the registry refused.

    :raises IntegrityError: it does not: the registry was right.
    """
    if f"sha256:{sha256_file(file)}" != digest:
        raise IntegrityError(
            f"the cached layer {short(digest)} was damaged",
            hint="build again with --no-cache; if it comes back, check the disk",
        )


def _with_digest(location: str, digest: str) -> str:
    """Return the address of an upload with the digest that completes it; the rest of its query is kept."""
    parts = urlsplit(location)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("digest", digest)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
