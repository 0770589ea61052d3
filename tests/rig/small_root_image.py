"""The small root as an image, given to an engine without any build."""

import io
import os
import tarfile
from pathlib import Path

from envbuild.formats.compression import codec_of
from envbuild.image.compose import compose_image
from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.changes import diff_layer
from envbuild.image.local.layers.store import LayerKey, LayerStore
from envbuild.lock.model import Lock
from tests.rig.engine import docker, forget_at_the_end
from tests.rig.locks import sample_lock


def give_docker(root: Path, reference: str, *changes: str) -> None:
    """Import ``root`` into the Docker Engine; ``changes`` are lines of a Dockerfile."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(root, arcname=".")
    words = [word for change in changes for word in ("--change", change)]
    docker("import", *words, "-", reference, stdin=packed.getvalue())
    forget_at_the_end(reference)


def give_local(root: Path, reference: str, cache: Path, lock: Lock | None = None) -> None:
    """Put ``root`` into the cache of the local engine as an image of one layer, of ``lock``."""
    key = LayerKey(kind="test", inputs={"pid": os.getpid()}, codec=codec_of("zstd"), comment="small")
    layer = LayerStore(cache).make(
        key, lambda writer: diff_layer(root, (), writer, started=2e9, epoch=1_000_000_000)
    )
    lock = lock or sample_lock()
    ImageStore(cache).put(reference, compose_image(lock, lock.targets[0], [layer]))
