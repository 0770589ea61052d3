"""Images outside engines: in OCI layouts, in archives, and in registries, read where they lie."""

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from envbuild.cache.folders import DOCUMENTS, PARTIALS
from envbuild.digest import CHUNK, OciDigest, sha256_bytes
from envbuild.errors import ImageError, IntegrityError, UsageError
from envbuild.image.stored.archive import ArchivedImages, docker_images, read_archive
from envbuild.image.stored.image import StoredImage, find_manifest
from envbuild.image.stored.listings import ListingCache
from envbuild.oci.blobs import read_verified
from envbuild.oci.index import DOCKER_FILE, INDEX_FILE, LAYOUT_FILE, REF_NAME, blob_name
from envbuild.oci.layer_listing import LayerListing, list_layer
from envbuild.oci.manifest import (
    Descriptor,
    Manifest,
    ManifestError,
    is_digest,
    parse_config,
    parse_image_document,
)
from envbuild.oci.reference import ImageReference, parse_reference
from envbuild.platforms import Platform
from envbuild.progress import Progress
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import OfflineTransport

LAYOUT: Final = "oci:"
ARCHIVE: Final = "archive:"
REGISTRY: Final = "registry:"

_SAVE_ONE: Final = "save one image alone: `docker save NAME`"

LARGEST_DOCUMENT: Final = 16 << 20
"""Bytes of a document that are read."""

_DO_NOT_USE: Final = "do not use this image"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What reading a stored image needs besides its name."""

    platform: Platform
    cache: Path
    listings: ListingCache
    environment: Mapping[str, str]
    offline: bool
    progress: Progress


def is_source(reference: str) -> bool:
    """Return whether ``reference`` names an image outside an engine."""
    return reference.startswith((LAYOUT, ARCHIVE, REGISTRY))


def open_source(reference: str, options: SourceOptions) -> StoredImage:
    """Return the image of ``oci:FOLDER[:TAG]``, ``archive:FILE`` or ``registry:REFERENCE``.

    :raises UsageError: there is no such folder or file, or it holds several images.
    :raises ImageError: it holds no image that can be read, or a layer is no readable archive.
    :raises ManifestError: a document of it is not well formed.
    :raises IntegrityError: a document is not what its digest says.
    :raises NetworkError: the registry is out of reach, refuses, or has no such image.
    """
    kind, _, name = reference.partition(":")
    if not name:
        raise UsageError(f"`{reference}` names no image", hint=f"write {kind}:NAME")
    if reference.startswith(LAYOUT):
        return _layout(name, options)
    if reference.startswith(ARCHIVE):
        return _archive(name, options)
    return _registry(parse_reference(name), options)


def _layout(name: str, options: SourceOptions) -> StoredImage:
    folder, tag = Path(name), ""
    if not folder.is_dir() and ":" in name:
        before, _, tag = name.rpartition(":")
        folder = Path(before)
    if not (folder / LAYOUT_FILE).is_file():
        raise UsageError(f"{folder} is no OCI layout", hint="`envbuild build --output oci:FOLDER` writes one")

    def document(digest: OciDigest) -> bytes:
        data = _read_file(folder / blob_name(digest))
        if f"sha256:{sha256_bytes(data)}" != digest:
            raise IntegrityError(f"{blob_name(digest)} in {folder} is not what its name says")
        return data

    named = _named_digest(_read_file(folder / INDEX_FILE), tag, f"{folder}", hint="name one: oci:FOLDER:TAG")
    digest, manifest = find_manifest(named, document, options.platform)
    config = document(manifest.config.digest)

    def read(wanted: frozenset[OciDigest]) -> Iterator[LayerListing]:
        yield from _list_blobs(
            manifest,
            parse_config(config).diff_ids,
            wanted,
            options.listings,
            lambda layer: read_verified(_require_file(folder / blob_name(layer.digest)), layer, forget=False),
        )

    return StoredImage(source=f"the layout {folder}", digest=digest, config=config, read_layers=read)


def _archive(name: str, options: SourceOptions) -> StoredImage:
    path = Path(name)
    _require_file(path)
    options.progress.on_stage(f"reading {path.name}")
    with path.open("rb") as file:
        blocks = iter(lambda: file.read(CHUNK), b"")
        found = read_archive(blocks, options.listings, scratch=PARTIALS.path(options.cache))
    digest, config = _archived_image(found, path, options.platform)
    return StoredImage(
        source=f"the archive {path}", digest=digest, config=config, read_layers=lambda _: iter(())
    )


def _archived_image(found: ArchivedImages, path: Path, platform: Platform) -> tuple[OciDigest, bytes]:
    if INDEX_FILE in found.named:

        def document(digest: OciDigest) -> bytes:
            if digest not in found.documents:
                raise ImageError(f"{path} lacks {digest[:19]}")
            return found.documents[digest]

        digest, manifest = find_manifest(
            _named_digest(found.named[INDEX_FILE], "", f"{path}", hint=_SAVE_ONE), document, platform
        )
        config = document(manifest.config.digest)
        held = tuple(found.layers.get(layer.digest) for layer in manifest.layers)
        if held != parse_config(config).diff_ids:
            raise IntegrityError(
                f"the layers in {path} are not what the image's configuration says", hint=_DO_NOT_USE
            )
        # engines read the one list or the other
        if DOCKER_FILE in found.named and {*docker_images(found)} != {manifest.config.digest}:
            raise IntegrityError(f"the two lists of images in {path} name different images")
        return digest, config
    if DOCKER_FILE not in found.named:
        raise ImageError(f"{path} is no archive of an image", hint="`docker save` writes one")
    images = docker_images(found)
    if len(images) != 1:
        raise UsageError(f"{path} holds {len(images)} images", hint=_SAVE_ONE)
    (digest,) = images
    config = found.documents[digest]
    if not {*parse_config(config).diff_ids} <= {*found.layers.values()}:
        raise IntegrityError(
            f"the layers in {path} are not what the image's configuration says", hint=_DO_NOT_USE
        )
    return digest, config


def _registry(reference: ImageReference, options: SourceOptions) -> StoredImage:
    client = RegistryClient(
        environment=options.environment,
        documents=DOCUMENTS.path(options.cache),
        transport=OfflineTransport() if options.offline else None,
    )
    options.progress.on_stage(f"reading {reference.familiar}")
    found = client.resolve(reference, options.platform, any_platform=True)
    config = found.config.document
    manifest = Manifest(
        config=Descriptor(media_type="", digest=found.config_digest, size=len(config)), layers=found.layers
    )

    def read(wanted: frozenset[OciDigest]) -> Iterator[LayerListing]:
        yield from _list_blobs(
            manifest,
            found.config.diff_ids,
            wanted,
            options.listings,
            lambda layer: client.read_blob(reference.at(found.digest), layer),
            only_wanted=True,
        )

    return StoredImage(
        source=f"the registry {reference.registry}", digest=found.digest, config=config, read_layers=read
    )


def _list_blobs(
    manifest: Manifest,
    diff_ids: tuple[OciDigest, ...],
    wanted: frozenset[OciDigest],
    listings: ListingCache,
    read: Callable[[Descriptor], Iterable[bytes]],
    *,
    only_wanted: bool = False,
) -> Iterator[LayerListing]:
    """Yield the listings of wanted layers; the bytes of others are hashed, unless they would be fetched.

    That a layer is known by what it unpacks to does not mean that these bytes do: unless that is known too,
    they are unpacked.
    """
    if len(diff_ids) != len(manifest.layers):
        raise ManifestError("the manifest and the configuration name different numbers of layers")
    done: set[tuple[OciDigest, OciDigest]] = set()
    for position, (diff_id, layer) in enumerate(zip(diff_ids, manifest.layers, strict=True), start=1):
        if (diff_id, layer.digest) in done:
            continue
        done.add((diff_id, layer.digest))
        if diff_id in wanted or listings.diff_id_of(layer.digest) != diff_id:
            listing = list_layer(read(layer))
            if listing.diff_id != diff_id:
                raise IntegrityError(
                    f"layer {position} of the image is not what its configuration says",
                    detail=f"{layer.digest} unpacks to {listing.diff_id}, not to {diff_id}",
                    hint=_DO_NOT_USE,
                )
            listings.note_blob(layer.digest, diff_id)
            yield listing
        elif not only_wanted:
            for _ in read(layer):
                pass


def _named_digest(data: bytes, tag: str, where: str, *, hint: str) -> OciDigest:
    """Return the digest that an index gives for ``tag``; of one image no tag need be given.

    :raises UsageError: there is none of that tag, or several images.
    """
    try:
        entries = [
            entry
            for entry in parse_image_document(data)["manifests"]
            if not tag or (entry.get("annotations") or {}).get(REF_NAME) == tag
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"the index of {where} is not well formed") from error
    named = [entry.get("digest") if isinstance(entry, dict) else None for entry in entries]
    digests = {digest for digest in named if is_digest(digest)}
    if not all(map(is_digest, named)):
        raise ManifestError(f"the index of {where} is not well formed")
    if len(digests) != 1:
        held = "no image" if not digests else f"{len(digests)} images"
        raise UsageError(f"{where} holds {held}{f' of the tag {tag}' if tag else ''}", hint=hint)
    return digests.pop()


def _read_file(path: Path) -> bytes:
    _require_file(path)
    with path.open("rb") as file:
        data = file.read(LARGEST_DOCUMENT + 1)
    if len(data) > LARGEST_DOCUMENT:
        raise ImageError(f"{path} has more than {LARGEST_DOCUMENT} bytes")
    return data


def _require_file(path: Path) -> Path:
    """Return ``path`` if it is a regular file: a pipe would be waited for.

    :raises UsageError: it is not.
    """
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise UsageError(f"{path} cannot be read", detail=error.strerror or "") from error
    if not is_file:
        raise UsageError(f"{path} is not a file")
    return path
