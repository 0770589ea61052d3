"""The images the local engine holds: their documents by digest, and names that point at them.

Layers stay in the layer cache; an image is only as good as what is still there.  Any file here may be deleted
at any time: the image is then assembled again.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.files import atomic
from envbuild.image.engine import ImageFacts
from envbuild.oci.documents import Document, DocumentFolder
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import Manifest, parse_config, parse_index_or_manifest

FOLDER: Final = "images"
"""Below the cache folder."""

MOST_NAMES: Final = 500
"""Names kept; beyond that those not used for longest go.  An image takes some 20 kB here."""


class ImageStore:
    """Images by reference; safe for several processes, for every file appears whole."""

    def __init__(self, cache: Path) -> None:
        """Keep images below ``cache``."""
        self._names = cache / FOLDER / "names"
        self._documents = DocumentFolder(cache / FOLDER / "documents")

    def get(self, reference: str) -> OciImage | None:
        """Return the image of a name, or None when there is none or one of its documents is gone."""
        try:
            record = json.loads(self._path(reference).read_bytes())
            manifest, base_layers = record["manifest"], int(record["base-layers"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        image = self._read(str(manifest), base_layers)
        if image is not None:
            with contextlib.suppress(OSError):
                self._path(reference).touch()
        return image

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
        atomic.write_bytes(self._path(reference), canonical_json(record))
        self._forget_beyond(MOST_NAMES)

    def images(self) -> Iterator[tuple[str, OciImage]]:
        """Yield every name with its image, by name."""
        references = []
        for path in self._files():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                references.append(str(json.loads(path.read_bytes())["reference"]))
        for reference in sorted(references):
            image = self.get(reference)
            if image is not None:
                yield reference, image

    def _read(self, digest: str, base_layers: int) -> OciImage | None:
        manifest = self._documents.get(digest)
        if manifest is None:
            return None
        parsed = parse_index_or_manifest(manifest.data, "")
        if not isinstance(parsed, Manifest):
            return None
        config = self._documents.get(parsed.config.digest)
        if config is None:
            return None
        return OciImage(
            config=config.data,
            manifest=manifest.data,
            layers=parsed.layers,
            diff_ids=parse_config(config.data).diff_ids,
            base_layers=base_layers,
        )

    def _forget_beyond(self, most: int) -> None:
        """Remove the names that were not used for longest, and the documents no other name needs."""
        found = sorted(self._files(), key=_last_use)
        gone, kept = found[: max(0, len(found) - most)], found[max(0, len(found) - most) :]
        if not gone:
            return
        needed = {digest for path in kept for digest in _documents_of(path)}
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
    settings = image.document.get("config") or {}
    return ImageFacts(
        identifier=image.descriptor.digest,
        architecture=image.architecture,
        env=tuple(settings.get("Env") or ()),
        user=settings.get("User") or "",
        workdir=settings.get("WorkingDir") or "",
        command=tuple(settings.get("Cmd") or ()),
        entrypoint=tuple(settings.get("Entrypoint") or ()),
        labels=dict(settings.get("Labels") or {}),
        diff_ids=image.diff_ids,
        size=image.size,
    )


def _documents_of(path: Path) -> tuple[str, ...]:
    try:
        record = json.loads(path.read_bytes())
        return str(record["manifest"]), str(record["config"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
