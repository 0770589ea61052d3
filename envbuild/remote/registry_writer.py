"""What image registries are told: blobs and manifests to store.  The distribution API, version 1.1."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from envbuild.errors import NetworkError
from envbuild.remote.reference import ImageReference
from envbuild.remote.registry_auth import LoginError
from envbuild.remote.registry_errors import refused, short
from envbuild.remote.registry_transport import RegistryTransport

UPLOAD_DELAYS_SECONDS: Final = (1.0, 4.0)
"""Waits before an upload that broke is begun anew."""

_PUSH: Final = "pull,push"
_OK, _CREATED, _ACCEPTED = 200, 201, 202


class RegistryWriter:
    """Stores what an image consists of, one piece a call; safe to share between threads.

    The registry wants the blobs before the manifest that names them; their order among themselves is free.
    """

    def __init__(self, transport: RegistryTransport, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._transport = transport
        self._sleep = sleep

    def has_blob(self, reference: ImageReference, digest: str) -> bool:
        """Return whether the repository has the blob."""
        response = self._transport.send("HEAD", reference, f"{reference.repository}/blobs/{digest}")
        return response.status_code == _OK

    def put_blob(
        self, reference: ImageReference, digest: str, content: Path | bytes, *, mount_from: str | None = None
    ) -> bool:
        """Store a blob in the repository of ``reference``; return whether its bytes had to be sent.

        ``mount_from`` names a repository of the same registry that may have it.  A file is streamed.

        :raises NetworkError: the registry is out of reach or refuses, also after several attempts.
        """
        if self.has_blob(reference, digest):
            return False
        for delay in UPLOAD_DELAYS_SECONDS:
            try:
                return self._upload(reference, digest, content, mount_from)
            except LoginError:
                raise
            except NetworkError:
                # an upload that broke half way is forgotten by some registries: begin a new one
                self._sleep(delay)
        return self._upload(reference, digest, content, mount_from)

    def put_manifest(self, reference: ImageReference, media_type: str, data: bytes) -> str:
        """Store a manifest or index under the tag or digest of ``reference``; return its digest.

        :raises NetworkError: the registry is out of reach or refuses.
        """
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        response = self._transport.send(
            "PUT",
            reference,
            f"{reference.repository}/manifests/{reference.locator}",
            actions=_PUSH,
            headers={"Content-Type": media_type},
            body=data,
        )
        if response.status_code != _CREATED:
            raise refused(reference, "the manifest", response)
        return digest

    def _upload(
        self, reference: ImageReference, digest: str, content: Path | bytes, mount_from: str | None
    ) -> bool:
        begun = self._transport.send(
            "POST",
            reference,
            f"{reference.repository}/blobs/uploads/",
            actions=_PUSH,
            also_from=mount_from,
            params={"mount": digest, "from": mount_from} if mount_from else None,
            body=b"",
        )
        if begun.status_code == _CREATED:
            return False
        location = begun.headers.get("Location")
        if begun.status_code != _ACCEPTED or not location:
            raise refused(reference, "an upload", begun)
        done = self._transport.send(
            "PUT",
            reference,
            _with_digest(location, digest),
            actions=_PUSH,
            also_from=mount_from,
            headers={"Content-Type": "application/octet-stream"},
            body=content,
        )
        if done.status_code != _CREATED:
            raise refused(reference, short(digest), done)
        return True


def _with_digest(location: str, digest: str) -> str:
    """Return the address of an upload with the digest that completes it; the rest of its query is kept."""
    parts = urlsplit(location)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("digest", digest)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
