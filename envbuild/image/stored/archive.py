"""An image in one tar, as `docker save` and other programs write it, read from front to back.

Nothing in it is believed for its name: documents and layers are known by the digests of their bytes.
"""

import hashlib
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import zstandard

from envbuild.digest import CHUNK, OciDigest, sha256_bytes
from envbuild.errors import ImageError
from envbuild.formats.json_text import parse_json, parse_unambiguous_json
from envbuild.formats.tar_reader import LayerArchive, LayerError, normal_path
from envbuild.image.stored.listings import ListingCache
from envbuild.oci.index import DOCKER_FILE, INDEX_FILE
from envbuild.oci.layer_listing import LayerListing, list_layer
from envbuild.oci.manifest import ManifestError

LARGEST_DOCUMENT: Final = 16 << 20
"""Bytes of a manifest or a configuration that are read."""

LARGEST_DOCUMENTS: Final = 64 << 20
"""Bytes of all documents of an archive, which are kept in memory."""

_JSON: Final = frozenset({b"{", b"["})
"""What a document begins with."""

_DOCKER_FIELDS: Final = ("Config", "RepoTags", "Layers", "Parent", "LayerSources")
"""Fields of ``manifest.json`` (Docker's image specification 1.3)."""

MOST_PATHS: Final = 100_000
"""Files and folders of an archive: an image of many layers has a few thousand."""

_NAMED: Final = frozenset({INDEX_FILE, DOCKER_FILE})


@dataclass(slots=True)
class ArchivedImages:
    """What an archive holds."""

    documents: dict[OciDigest, bytes] = field(default_factory=dict)
    """Manifests, configurations and other JSON, by digest."""

    named: dict[str, bytes] = field(default_factory=dict)
    """``index.json`` and ``manifest.json``."""

    paths: dict[str, OciDigest] = field(default_factory=dict)
    """Digest of each document by its path in the archive."""

    layers: dict[OciDigest, OciDigest] = field(default_factory=dict)
    """What each layer unpacks to, by the digest of its bytes as they are in the archive."""

    size: int = 0
    """Bytes of all documents."""


def read_archive(chunks: Iterable[bytes], listings: ListingCache, *, scratch: Path) -> ArchivedImages:
    """Read an archive of images; the listings of its layers are in ``listings`` afterwards.

    A layer is laid into a file without a name below ``scratch`` until it is read.

    :raises ImageError: it is no archive of images.
    :raises LayerError: a layer is no readable archive.
    """
    found = ArchivedImages()
    scratch.mkdir(parents=True, exist_ok=True)
    pending: list[tuple[OciDigest, Future[LayerListing | None]]] = []
    # whoever lists a layer closes its file; after an error nobody has
    with ExitStack() as files, ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as threads:
        try:
            for name, size, content in _files(chunks):
                start = content.read(1) if size <= LARGEST_DOCUMENT else b""
                if start in _JSON or name in _NAMED:
                    start += content.read()
                    if _is_json(start):
                        _note_document(found, name, start)
                        continue
                    if name in _NAMED:
                        raise ImageError(f"{name} of the archive is no JSON")
                blob, kept = _layer(start, content, name, listings, lambda: _scratch_file(scratch, files))
                if isinstance(kept, str):
                    found.layers[blob] = kept
                else:
                    pending.append((blob, threads.submit(_list, kept, blob, listings)))
            for blob, future in pending:
                listing = future.result()
                if listing is not None:
                    listings.put(listing)
                    found.layers[blob] = listing.diff_id
        except (tarfile.TarError, zlib.error, zstandard.ZstdError, EOFError) as error:
            # of a file's content; those between files are named where they are read
            raise ImageError("this is no archive of an image", detail=str(error)[:200]) from error
        finally:
            for _, future in pending:
                future.cancel()
    return found


def _files(chunks: Iterable[bytes]) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield path, bytes and content of each file in an archive, which may be compressed.

    :raises ImageError: it is no archive, or programs that unpack it find other files than those that read it.
    """
    archive, paths = LayerArchive(chunks), _Paths()
    try:
        with archive.whole():
            for entry, content in archive.entries():
                paths.add(entry)
                if content is not None:
                    yield entry.name, entry.size, content
    except LayerError as error:
        raise ImageError("this is no archive of an image", detail=error.detail or error.message) from error


@dataclass(slots=True)
class _Paths:
    """Paths of an archive: each is one file to programs that unpack it and to those that read it."""

    taken: set[str] = field(default_factory=set)
    """Of all that is no folder."""

    folders: set[str] = field(default_factory=set)
    """Listed ones, and those above all entries."""

    def add(self, entry: tarfile.TarInfo) -> None:
        """Note the next entry.  :raises ImageError: it is in another's place, or is no plain file there."""
        name = entry.name
        above, end = [], name.rfind("/")
        while end > 0:
            above.append(name[:end])
            end = name.rfind("/", 0, end)
        if entry.isdir():
            above.append(name)
        else:
            if name in self.taken:
                raise ImageError(f"the archive has {name[:200]!r} twice")
            self.taken.add(name)
        if not entry.isreg() and name in _NAMED:
            raise ImageError(f"{name} of the archive is no file")
        self.folders.update(above)
        if (not entry.isdir() and name in self.folders) or not self.taken.isdisjoint(above):
            raise ImageError(f"the archive has {name[:200]!r} in the place of a folder or below a file")
        if len(self.taken) + len(self.folders) > MOST_PATHS:
            raise ImageError(f"the archive has more than {MOST_PATHS} paths")


def _is_json(data: bytes) -> bool:
    """Return whether ``data`` is JSON; an uncompressed layer may begin with a brace too."""
    try:
        parse_json(data)
    except ValueError:
        return False
    return True


def _note_document(found: ArchivedImages, name: str, data: bytes) -> None:
    found.size += len(data)
    if found.size > LARGEST_DOCUMENTS:
        raise ImageError(f"the documents of an archive have more than {LARGEST_DOCUMENTS} bytes")
    digest = f"sha256:{sha256_bytes(data)}"
    found.documents[digest] = data
    found.paths[name] = digest
    if name in _NAMED:
        found.named[name] = data


def _layer(
    start: bytes, content: IO[bytes], name: str, listings: ListingCache, new_file: Callable[[], IO[bytes]]
) -> tuple[OciDigest, OciDigest | IO[bytes]]:
    """Return the digest of ``content``, and what it unpacks to where that is known, else a file of it."""
    promised = f"sha256:{name.rpartition('/')[2]}"
    known = listings.diff_id_of(promised) if len(promised) == len("sha256:") + 64 else None
    state = hashlib.sha256(start)
    if known is not None:
        # of a layer that was read before, that it is that layer
        while block := content.read(CHUNK):
            state.update(block)
        if f"sha256:{state.hexdigest()}" != promised:
            raise ImageError(f"{name} in the archive is not what its name says")
        return promised, known
    kept = new_file()
    kept.write(start)
    while block := content.read(CHUNK):
        state.update(block)
        kept.write(block)
    kept.seek(0)
    return f"sha256:{state.hexdigest()}", kept


def _scratch_file(folder: Path, files: ExitStack) -> IO[bytes]:
    return files.enter_context(tempfile.TemporaryFile(dir=folder))


def _list(kept: IO[bytes], blob: OciDigest, listings: ListingCache) -> LayerListing | None:
    """Return the listing of a layer; None: it is something else, such as a version file or a signature."""
    with kept:
        size = kept.seek(0, os.SEEK_END)
        kept.seek(0)
        try:
            listing = list_layer(_blocks(kept))
        except LayerError:
            if size < tarfile.BLOCKSIZE:
                return None
            raise
    listings.note_blob(blob, listing.diff_id)
    return listing


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(CHUNK):
        yield block


def docker_images(found: ArchivedImages) -> list[OciDigest]:
    """Return the images that ``manifest.json`` names, each by the digest of its configuration.

    :raises ManifestError: it is not well formed.
    """
    try:
        entries = parse_unambiguous_json(found.named[DOCKER_FILE], fields=_DOCKER_FIELDS)
        return [found.paths[normal_path(entry["Config"])] for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError("manifest.json of the archive is not well formed") from error
