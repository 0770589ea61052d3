"""An image into a registry: only the blobs it lacks, several at a time, the manifest last."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from envbuild.oci.blobs import Blobs, each_layer
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import Descriptor
from envbuild.oci.reference import ImageReference
from envbuild.parallel import run_all
from envbuild.progress import SILENT, ByteCounter, Progress

UPLOADS: Final = 4
"""Blobs sent at the same time: more does not help one registry, and some limit connections."""


class Writer(Protocol):
    """Stores blobs and manifests in a registry."""

    def put_blob(
        self,
        reference: ImageReference,
        digest: str,
        content: Path | bytes | Callable[[], Path],
        *,
        mount_from: str | None = None,
        on_bytes: Callable[[int], None] = ...,
    ) -> bool:
        """Store a blob unless it is there or can be mounted; return whether its bytes were sent."""

    def put_manifest(self, reference: ImageReference, media_type: str, data: bytes) -> str:
        """Store a manifest; return its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push sent."""

    digest: str
    """Of the manifest, in the registry."""

    blobs: int
    """Layers whose bytes were sent."""

    size: int
    """Bytes of those layers."""


def push_image(
    image: OciImage,
    reference: ImageReference,
    *,
    writer: Writer,
    blobs: Blobs,
    mounts: Mapping[str, str],
    progress: Progress = SILENT,
) -> Pushed:
    """Store ``image`` under the tag of ``reference``.

    ``mounts`` names, by digest, a repository of the same registry that may have a layer: it is then not sent,
    and its bytes are not even looked for here.

    :raises NetworkError: the registry is out of reach or refuses, also after several attempts.
    :raises IntegrityError: a layer here is not what its digest says.
    """
    sent: list[Descriptor] = []
    lock = threading.Lock()
    # a progress bar that begins at what is there already would say nothing of the time left
    layers = each_layer(image)
    counter = ByteCounter(progress, image.size)

    def put(layer: Descriptor) -> None:
        was_sent = writer.put_blob(
            reference,
            layer.digest,
            partial(blobs.path, layer),
            mount_from=mounts.get(layer.digest),
            on_bytes=counter.add,
        )
        if was_sent:
            with lock:
                sent.append(layer)
        else:
            counter.add(layer.size)

    # the largest first, so that it is not left over at the end
    run_all(put, sorted(layers, key=lambda layer: (-layer.size, layer.digest)), workers=UPLOADS)
    config = image.config_descriptor
    writer.put_blob(reference, config.digest, image.config)
    digest = writer.put_manifest(reference, image.descriptor.media_type, image.manifest)
    return Pushed(digest=digest, blobs=len(sent), size=sum(layer.size for layer in sent))
