"""Small real layers, made without the layer cache, for tests of what is done with layers."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import zstandard

from envbuild.oci.blobs import Blobs
from envbuild.oci.layer import Layer
from envbuild.oci.manifest import Descriptor

ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class LayerFolder:
    """Layers as files by digest; what holds blobs in tests."""

    folder: Path

    def make(self, files: Mapping[str, bytes], *, comment: str = "a layer", codec: str = ZSTD) -> Layer:
        """Write a layer of ``files``, whose folders are made too."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted({*files, *(str(parent) for file in files for parent in Path(file).parents)}):
                if name == ".":
                    continue
                entry = tarfile.TarInfo(name)
                if name in files:
                    entry.size, entry.mode = len(files[name]), 0o644
                else:
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry, io.BytesIO(files.get(name, b"")))
        plain = buffer.getvalue()
        if codec == ZSTD:
            packed = zstandard.ZstdCompressor(level=3).compress(plain)
        else:
            packed = gzip.compress(plain, mtime=0)
        layer = Layer(
            diff_id=_digest(plain),
            digest=_digest(packed),
            size=len(packed),
            unpacked=len(plain),
            media_type=codec,
            comment=comment,
        )
        (self.folder / layer.digest.removeprefix("sha256:")).write_bytes(packed)
        return layer

    def path(self, blob: Descriptor) -> Path:
        return self.folder / blob.digest.removeprefix("sha256:")


_: type[Blobs] = LayerFolder


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
