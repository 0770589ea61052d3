"""Manifests and configurations kept by digest, so that a registry is asked for each of them once."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from envbuild.digest import sha256_bytes
from envbuild.files.atomic import write_bytes
from envbuild.files.last_use import note_use

LARGEST: Final = 16 << 20
"""Bytes of a document that are read: registries accept 4 MiB (OCI distribution-spec), and an image of ours
adds to the configuration of its base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An index, manifest or configuration as the registry has it."""

    digest: str
    media_type: str
    """What the registry called it; empty for a kept one: it follows from the content."""

    data: bytes


class DocumentFolder:
    """A folder of documents by digest, or none at all; any of them may be deleted at any time."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def is_there(self) -> bool:
        """Whether anything is kept."""
        return self._folder is not None

    def get(self, digest: str, *, is_use: bool = True) -> Document | None:
        """Return the document if it is there, no larger than :data:`LARGEST`, and what its digest says.

        With ``is_use`` it counts as used now: what was not used for longest is pruned first.
        """
        if self._folder is None:
            return None
        try:
            with self._path(self._folder, digest).open("rb") as stream:
                data = stream.read(LARGEST + 1)
        except OSError:
            return None
        if len(data) > LARGEST or f"sha256:{sha256_bytes(data)}" != digest:
            return None
        if is_use:
            note_use(self._path(self._folder, digest))
        return Document(digest=digest, media_type="", data=data)

    def put(self, document: Document) -> Document:
        """Keep a document and return it; where nothing can be written, the registry is asked again."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                write_bytes(self._path(self._folder, document.digest), document.data)
        return document

    def remove(self, digest: str) -> None:
        """Forget a document."""
        if self._folder is not None:
            self._path(self._folder, digest).unlink(missing_ok=True)

    @staticmethod
    def _path(folder: Path, digest: str) -> Path:
        return folder / digest.removeprefix("sha256:")
