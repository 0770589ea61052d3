"""The images the local engine holds: their documents by digest, and names that point at them.

Layers stay in the layer cache; an image is only as good as what is still there.  Any file here may be deleted
at any time: the image is then assembled again.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from envbuild.cache.folders import DOCUMENTS, IMAGES
from envbuild.cache.notes import read_note, write_note
from envbuild.cache.prune import PrunableItem, file_items
from envbuild.digest import sha256_bytes
from envbuild.errors import ImageError
from envbuild.image.facts import ImageFacts, facts_of_config
from envbuild.image.local.layers.blobs import is_whole
from envbuild.oci.documents import Document, DocumentFolder
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import (
    Manifest,
    ManifestError,
    media_type_of_manifest,
    parse_config,
    parse_index_or_manifest,
)

MOST_NAMES: Final = 500
"""Names kept; beyond that those not used for longest go.  An image takes some 20 kB here."""


class ImageStore:
    """Images by reference; safe for several processes, for every file appears whole."""

    def __init__(self, cache: Path) -> None:
        """Keep images below ``cache``."""
        self._cache = cache
        self._names = IMAGES.path(cache) / "names"
        self._documents = DocumentFolder(DOCUMENTS.path(cache))

    def get(self, reference: str) -> OciImage | None:
        """Return the image of a name, or None when there is none or one of its documents is gone."""
        path = self._path(reference)
        record = read_note(path, _Record.of)
        return self._image(record) if record else None

    def put(self, reference: str, image: OciImage) -> None:
        """Keep ``image`` under ``reference``, which names no other from then on."""
        for descriptor, data in ((image.config_descriptor, image.config), (image.descriptor, image.manifest)):
            self._documents.put(
                Document(digest=descriptor.digest, media_type=descriptor.media_type, data=data)
            )
        record = {
            "reference": reference,
            "manifest": image.descriptor.digest,
            "config": image.config_descriptor.digest,
            "base-layers": image.base_layers,
        }
        write_note(self._path(reference), record)
        self._forget_beyond(MOST_NAMES)

    def images(self) -> Iterator[tuple[str, OciImage]]:
        """Yield every name with its image, by name."""
        records = (read_note(path, _Record.of, is_use=False) for path in self._files())
        for record in sorted(filter(None, records), key=lambda record: record.reference):
            # one that cannot be read is no reason not to find the others
            with contextlib.suppress(ImageError, ManifestError):
                image = self._image(record, is_use=False)
                if image is not None:
                    yield record.reference, image

    def last_use(self, reference: str) -> float | None:
        """Return when a name was last used, in seconds since 1970; None: there is no such name."""
        try:
            return self._path(reference).stat().st_mtime
        except OSError:
            return None

    def forget(self, reference: str) -> bool:
        """Remove a name, and the documents no other name needs; return whether it was there."""
        path = self._path(reference)
        if not path.exists():
            return False
        self._forget([path])
        return True

    def items(self) -> Iterator[PrunableItem]:
        """Yield every name, for pruning."""
        yield from file_items(self._files())

    def sweep(self) -> None:
        """Forget the images that lack a layer or a document: they are assembled again."""
        whole = {reference for reference, image in self.images() if is_whole(image, self._cache)}
        kept = {self._path(reference) for reference in whole}
        self._forget([path for path in self._files() if path not in kept])

    def _image(self, record: "_Record", *, is_use: bool = True) -> OciImage | None:
        manifest = self._documents.get(record.manifest, is_use=is_use)
        if manifest is None:
            return None
        parsed = parse_index_or_manifest(manifest.data, "")
        if not isinstance(parsed, Manifest):
            return None
        config = self._documents.get(parsed.config.digest, is_use=is_use)
        if config is None:
            return None
        return OciImage(
            config=config.data,
            manifest=manifest.data,
            layers=parsed.layers,
            diff_ids=parse_config(config.data).diff_ids,
            base_layers=record.base_layers,
            media_type=media_type_of_manifest(manifest.data),
        )

    def _forget_beyond(self, most: int) -> None:
        """Remove the names that were not used for longest, and the documents no other name needs."""
        found = sorted(self.items(), key=lambda item: item.used)
        self._forget([self._names / item.name for item in found[: max(0, len(found) - most)]])

    def _forget(self, paths: Sequence[Path]) -> None:
        """Remove names, and the documents no other name needs."""
        gone = set(paths)
        needed = {digest for path in self._files() if path not in gone for digest in _documents_of(path)}
        for path in gone:
            documents = _documents_of(path)
            path.unlink(missing_ok=True)
            for digest in set(documents) - needed:
                self._documents.remove(digest)

    def _files(self) -> list[Path]:
        return list(self._names.glob("*.json"))

    def _path(self, reference: str) -> Path:
        # a reference has slashes and colons, and may be longer than a file name
        return self._names / f"{sha256_bytes(reference.encode())}.json"


def facts_of(image: OciImage) -> ImageFacts:
    """Return what an engine says of an image: its ID is the digest of the manifest."""
    return facts_of_config(image.config, identifier=image.descriptor.digest, size=image.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What a name points at."""

    reference: str
    manifest: str
    config: str
    base_layers: int

    @classmethod
    def of(cls, document: Any) -> Self:
        return cls(
            reference=str(document["reference"]),
            manifest=str(document["manifest"]),
            config=str(document["config"]),
            base_layers=int(document["base-layers"]),
        )


def _documents_of(path: Path) -> tuple[str, ...]:
    record = read_note(path, _Record.of, is_use=False)
    return (record.manifest, record.config) if record else ()
