"""Artifacts with content that tests can check."""

import hashlib
import os
import random
from collections.abc import Iterable

from envbuild.remote.address import Address
from envbuild.store.artifact import Artifact
from envbuild.store.store import Store


def content_of(seed: int, size: int = 200_000) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - not a secret


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def artifact_of(content: bytes, *urls: str, filename: str = "demo-1.0-py3-none-any.whl") -> Artifact:
    def locate() -> Iterable[Address]:
        return (Address.of(url) for url in urls)

    return Artifact(
        kind="wheel",
        name="demo 1.0",
        filename=filename,
        sha256=sha256_of(content),
        size=len(content),
        locate=locate,
    )


def damage(store: Store, sha256: str) -> None:
    path = store.place_of(sha256)
    data = bytearray(path.read_bytes())
    data[0] ^= 0xFF
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
