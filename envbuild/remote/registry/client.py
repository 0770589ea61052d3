"""What image registries are asked: which image a tag names, and the bytes it consists of.

The distribution API, version 1.1.  What is read by digest is verified against it; nothing is unpacked here.
"""

import contextlib
import hashlib
import itertools
import os
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import requests
import urllib3.exceptions

from envbuild.digest import CHUNK
from envbuild.errors import ImageError, IntegrityError, NetworkError, NotFoundError
from envbuild.oci.documents import Document, DocumentFolder
from envbuild.oci.manifest import (
    ACCEPTED,
    Descriptor,
    ImageConfig,
    Manifest,
    ManifestError,
    choose_manifests,
    is_digest,
    offered_platforms,
    parse_config,
    parse_index_or_manifest,
    require_one_choice,
)
from envbuild.oci.reference import ImageReference
from envbuild.platforms import Platform
from envbuild.remote.http import network_errors
from envbuild.remote.registry.errors import (
    missing_blob,
    missing_digest,
    missing_repository,
    missing_tag,
    naming,
    refused,
    short,
)
from envbuild.remote.registry.transport import RegistryTransport

LARGEST_DOCUMENT: Final = 4 << 20
"""Bytes of a manifest or configuration at most: what the specification asks registries to accept."""

READ_DELAYS_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)
"""Waits before a broken read is taken up again; what arrives in between starts the count anew."""

MOST_TAG_PAGES: Final = 10
"""Of tags that are only searched for near names."""

PAGES_OF_ALL_TAGS: Final = 500
"""Registries that give a hundred tags at a time have this many pages for the largest repositories."""

TAGS_A_PAGE: Final = "1000"

Actions = Literal["pull", "pull,push"]
"""What an authorization allows in a repository (Distribution, token scopes)."""

_OK, _PARTIAL, _NOT_FOUND, _METHOD_NOT_ALLOWED = 200, 206, 404, 405
_NEXT_PAGE = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedImage:
    """One platform's image, pinned."""

    reference: ImageReference
    """As it was asked for."""

    index: str | None
    """Digest of the index the reference named, if it named one."""

    digest: str
    """Digest of the platform's manifest."""

    config_digest: str
    config: ImageConfig
    layers: tuple[Descriptor, ...]
    """Bottom first."""

    @property
    def size(self) -> int:
        """Bytes of all layers as the registry has them, compressed."""
        return sum(layer.size for layer in self.layers)


class RegistryClient:
    """Reads from any registry; safe to share between threads."""

    def __init__(
        self,
        *,
        environment: Mapping[str, str] = os.environ,
        documents: Path | None = None,
        transport: RegistryTransport | None = None,
        actions: Actions = "pull",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Use the credentials of ``environment``'s client; keep documents by digest in ``documents``.

        ``actions`` is what authorizations are asked for: some registries answer only who may push where
        nothing has been pushed yet.
        """
        self._actions = actions
        self._transport = transport or RegistryTransport(environment=environment, sleep=sleep)
        self._documents = DocumentFolder(documents)
        self._sleep = sleep

    def ping(self, reference: ImageReference) -> None:
        """Return if the registry of ``reference`` speaks the API and lets its client in.

        :raises NetworkError: it does not.
        """
        response = self._transport.send("GET", reference, "")
        if response.status_code != _OK:
            raise NetworkError(f"{reference.registry} is not an image registry (HTTP {response.status_code})")

    def resolve(
        self, reference: ImageReference, platform: Platform, *, any_platform: bool = False
    ) -> ResolvedImage:
        """Follow ``reference`` to the manifest, configuration and layers of ``platform``'s image.

        With ``any_platform`` an image that no index offers may be one for another platform, and an index must
        leave no choice: what is verified must be what engines take.

        :raises ImageError: it is not offered for ``platform``, or is not an image.
        :raises NotFoundError: there is no such repository, tag or digest.
        :raises NetworkError: the registry is out of reach or refuses.
        :raises IntegrityError: an answer does not match its digest.
        """
        with naming(reference):
            top = self.document(reference)
            parsed = parse_index_or_manifest(top.data, top.media_type)
            if isinstance(parsed, Manifest):
                wanted = None if any_platform else platform
                return self._image(reference, wanted, None, top.digest, parsed)
            if any_platform:
                require_one_choice(parsed, platform)
            failed: ImageError | None = None
            for choice in choose_manifests(parsed, platform):
                below = self.document(reference.at(choice.digest))
                manifest = parse_index_or_manifest(below.data, below.media_type or choice.media_type)
                if not isinstance(manifest, Manifest):
                    failed = ImageError("an index within an index is not followed")
                    continue
                try:
                    return self._image(reference, platform, top.digest, choice.digest, manifest)
                except ImageError as error:
                    failed = error
            raise failed or ImageError(
                f"it is not offered for {platform.name}",
                hint=f"it is offered for {', '.join(offered_platforms(parsed)) or 'no platform'}",
            )

    def document(self, reference: ImageReference) -> Document:
        """Return the manifest or index ``reference`` names.

        With a folder for documents only its digest is asked for where that is enough: registries do not
        count such a question as a pull.

        :raises NotFoundError: with tags near to the one that is missing.
        :raises IntegrityError: it does not match its digest.
        """
        if reference.digest:
            digest: str | None = reference.digest
        else:
            digest = self.digest_of(reference) if self._documents.is_there else None
        kept = self._documents.get(digest) if digest else None
        return kept or self._documents.put(self._fetch_document(reference))

    def digest_of(self, reference: ImageReference) -> str | None:
        """Return the digest ``reference`` names now, or None when it names nothing."""
        response = self._transport.send(
            "HEAD",
            reference,
            f"{reference.repository}/manifests/{reference.locator}",
            actions=self._actions,
            headers=_ACCEPT,
        )
        if response.status_code == _NOT_FOUND:
            return None
        digest = response.headers.get("Docker-Content-Digest")
        # the header is optional, and some registries do not answer HEAD at all
        return digest if response.ok and is_digest(digest) else self._fetch_document(reference).digest

    def tags(self, reference: ImageReference) -> tuple[str, ...]:
        """Return the tags of the repository in the registry's order; of very many only the first."""
        return tuple(
            tag for page in itertools.islice(self._tag_pages(reference), MOST_TAG_PAGES) for tag in page
        )

    def all_tags(self, reference: ImageReference) -> tuple[str, ...]:
        """Return every tag of the repository in the registry's order.

        :raises NetworkError: there are more than any repository has, or a page follows itself.
        """
        found: list[str] = []
        for number, page in enumerate(self._tag_pages(reference)):
            if number == PAGES_OF_ALL_TAGS:
                raise NetworkError(f"{reference.registry} kept paginating tags; gave up")
            found += page
        return tuple(found)

    def _tag_pages(self, reference: ImageReference) -> Iterator[tuple[str, ...]]:
        path: str | None = f"{reference.repository}/tags/list"
        params: Mapping[str, str] | None = {"n": TAGS_A_PAGE}
        while path is not None:
            response = self._transport.send("GET", reference, path, params=params)
            if response.status_code == _NOT_FOUND:
                raise missing_repository(reference)
            if response.status_code != _OK:
                raise refused(reference, "the list of tags", response)
            try:
                page = tuple(str(tag) for tag in response.json()["tags"] or ())
            except (ValueError, KeyError, TypeError) as error:
                raise ManifestError(f"{reference.registry} did not answer with tags") from error
            yield page
            link = _NEXT_PAGE.search(response.headers.get("Link", ""))
            path, params = (link[1] if link else None), None

    def read_blob(self, reference: ImageReference, blob: Descriptor) -> Generator[bytes, None, None]:
        """Yield the content of ``blob`` from the repository of ``reference``, chunk by chunk.

        A broken connection is taken up where it broke.  Only after the last chunk is the content known to be
        what was asked for: whoever stops before that has unverified bytes.

        :raises IntegrityError: size or digest are not the blob's; after the last chunk.
        :raises NotFoundError: the registry does not have it.
        :raises NetworkError: the registry is out of reach, also after several attempts.
        """
        state, done, delays = hashlib.sha256(), 0, iter(READ_DELAYS_SECONDS)
        while True:
            try:
                with contextlib.closing(self._chunks(reference, blob, start=done)) as chunks:
                    for chunk in chunks:
                        state.update(chunk)
                        done += len(chunk)
                        if done > blob.size:
                            break
                        delays = iter(READ_DELAYS_SECONDS)
                        yield chunk
                break
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if done == blob.size:
                    break
                delay = next(delays, None)
                if delay is None:
                    raise NetworkError(
                        f"{reference.registry} breaks off before {short(blob.digest)} is complete",
                        hint="check the proxy and the network, then try again",
                        detail=type(error).__name__,
                    ) from error
                self._sleep(delay)
        if done != blob.size or f"sha256:{state.hexdigest()}" != blob.digest:
            raise IntegrityError(
                f"what {reference.registry} sent is not {short(blob.digest)} of `{reference.familiar}`",
                hint="try again; if it stays so, a proxy or the registry alters or damages images",
            )

    def _image(
        self,
        reference: ImageReference,
        platform: Platform | None,
        index: str | None,
        digest: str,
        manifest: Manifest,
    ) -> ResolvedImage:
        config = parse_config(self._small_blob(reference, manifest.config))
        made_for = f"{config.os or '?'}/{config.architecture or '?'}"
        if platform is not None and made_for != platform.name:
            raise ImageError(f"it is an image for {made_for}, not for {platform.name}")
        if len(config.diff_ids) != len(manifest.layers):
            raise ManifestError("its manifest and its configuration name different numbers of layers")
        return ResolvedImage(
            reference=reference,
            index=index,
            digest=digest,
            config_digest=manifest.config.digest,
            config=config,
            layers=manifest.layers,
        )

    def _fetch_document(self, reference: ImageReference) -> Document:
        response = self._transport.send(
            "GET",
            reference,
            f"{reference.repository}/manifests/{reference.locator}",
            actions=self._actions,
            headers=_ACCEPT,
            stream=True,
        )
        if response.status_code != _OK:
            response.close()
            raise self._missing(reference, response)
        with network_errors(response.url), contextlib.closing(response):
            data = b""
            for chunk in response.iter_content(CHUNK):
                data += chunk
                if len(data) > LARGEST_DOCUMENT:
                    raise ManifestError("the manifest is larger than registries may store")
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        expected = reference.digest or response.headers.get("Docker-Content-Digest") or digest
        if is_digest(expected) and expected != digest:
            raise IntegrityError(f"{reference.registry} sent another manifest than {short(expected)}")
        return Document(digest=digest, media_type=response.headers.get("Content-Type", ""), data=data)

    def _small_blob(self, reference: ImageReference, blob: Descriptor) -> bytes:
        if blob.size > LARGEST_DOCUMENT:
            raise ManifestError("the configuration is larger than registries may store")
        kept = self._documents.get(blob.digest)
        if kept:
            return kept.data
        data = b"".join(self.read_blob(reference, blob))
        self._documents.put(Document(digest=blob.digest, media_type=blob.media_type, data=data))
        return data

    def _chunks(
        self, reference: ImageReference, blob: Descriptor, *, start: int
    ) -> Generator[bytes, None, None]:
        """Yield the blob from byte ``start`` on."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        path = f"{reference.repository}/blobs/{blob.digest}"
        response = self._transport.send(
            "GET", reference, path, actions=self._actions, headers=headers, stream=True
        )
        with contextlib.closing(response):
            if response.status_code not in {_OK, _PARTIAL}:
                raise missing_blob(reference, blob)
            # not every registry can start in the middle
            skip = start if response.status_code == _OK else 0
            # the bytes as stored: a `Content-Encoding` put on by a proxy is no part of the blob's digest
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                yield chunk[skip:] if skip else chunk
                skip = 0

    def _missing(self, reference: ImageReference, response: requests.Response) -> NetworkError:
        """Return the error for a manifest that is not there, with what is near to it."""
        if response.status_code not in {_NOT_FOUND, _METHOD_NOT_ALLOWED}:
            return refused(reference, f"`{reference.locator}`", response)
        if reference.digest:
            return missing_digest(reference)
        try:
            return missing_tag(reference, self.tags(reference))
        except NotFoundError:
            return missing_repository(reference)
        except NetworkError:
            return missing_tag(reference, ())


_ACCEPT: Final = {"Accept": ", ".join(ACCEPTED)}
