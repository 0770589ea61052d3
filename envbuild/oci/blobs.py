"""Where the bytes of an image lie, and reading them without trusting the disk."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from envbuild.digest import CHUNK
from envbuild.errors import IntegrityError
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import Descriptor


class Blobs(Protocol):
    """Holds layers, or knows where to get them."""

    def path(self, blob: Descriptor) -> Path:
        """Return a file with the bytes of ``blob``, fetched first when they are not here."""


def read_verified(path: Path, blob: Descriptor, *, forget: bool = True) -> Iterator[bytes]:
    """Yield the bytes of a file that holds ``blob``.

    :raises IntegrityError: after the last chunk, when it holds something else.  With ``forget`` the file is
        removed, so that the next build makes or fetches it again.
    """
    state, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            state.update(chunk)
            size += len(chunk)
            yield chunk
    if size != blob.size or f"sha256:{state.hexdigest()}" != blob.digest:
        if forget:
            path.unlink(missing_ok=True)
        raise IntegrityError(
            f"{path.name} in the cache is not {blob.digest[:19]} any more",
            hint="run `envbuild build`, then this again; if it comes back, check the disk",
        )


def documents_of(image: OciImage) -> dict[str, bytes]:
    """Return the two documents of an image by digest."""
    return {
        image.config_descriptor.digest: image.config,
        image.descriptor.digest: image.manifest,
    }


def each_layer(image: OciImage) -> tuple[Descriptor, ...]:
    """Return the layers of an image, each once, bottom first: a base may name one twice."""
    return tuple({layer.digest: layer for layer in image.layers}.values())
