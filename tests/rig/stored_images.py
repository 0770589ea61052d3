"""Images as files: their documents, OCI layouts and archives of them, made by hand."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envbuild.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.rig.layers import GZIP
from tests.rig.tar_layers import Entry, layer, sha256


@dataclass(frozen=True)
class SmallImage:
    """An image of a few layers, which are gzipped."""

    layers: Sequence[Sequence[Entry]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the configuration in the place of the sound ones."""

    @property
    def tars(self) -> list[bytes]:
        return [layer(*entries) for entries in self.layers]

    @property
    def blobs(self) -> list[bytes]:
        return [gzip.compress(tar, mtime=0) for tar in self.tars]

    @property
    def diff_ids(self) -> list[str]:
        return [digest_of(tar) for tar in self.tars]

    @property
    def config(self) -> bytes:
        return as_json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": dict(self.settings),
                "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
                **self.changes,
            }
        )

    @property
    def manifest(self) -> bytes:
        return as_json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor(self.config, OCI_CONFIG),
                "layers": [descriptor(blob, GZIP) for blob in self.blobs],
            }
        )

    @property
    def files(self) -> dict[str, bytes]:
        """What a layout has of it, by path."""
        return dict(map(blob_file, [self.config, self.manifest, *self.blobs]))


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def digest_of(data: bytes) -> str:
    return f"sha256:{sha256(data)}"


def descriptor(data: bytes, media_type: str = OCI_MANIFEST, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def blob_file(data: bytes) -> tuple[str, bytes]:
    return f"blobs/sha256/{sha256(data)}", data


def index_of(*entries: Mapping[str, Any]) -> bytes:
    return as_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})


def tagged(data: bytes, tag: str, **more: Any) -> dict[str, Any]:
    return descriptor(data, annotations={"org.opencontainers.image.ref.name": tag}, **more)


def layout_files(image: SmallImage, *more: SmallImage) -> dict[str, bytes]:
    """Return the files of a layout of images; those after the first are tagged `1`, `2`, …."""
    entries = [descriptor(image.manifest)]
    entries += [tagged(other.manifest, str(number)) for number, other in enumerate(more, start=1)]
    files = {"oci-layout": as_json({"imageLayoutVersion": "1.0.0"}), "index.json": index_of(*entries)}
    for one in (image, *more):
        files |= one.files
    return files


def docker_files(image: SmallImage) -> dict[str, bytes]:
    """Return what `docker save` of a containerd store writes: a layout with a `manifest.json`."""
    entry = {
        "Config": blob_file(image.config)[0],
        "RepoTags": ["train:latest"],
        "Layers": [blob_file(blob)[0] for blob in image.blobs],
    }
    return {**layout_files(image), "manifest.json": as_json([entry])}


def legacy_files(image: SmallImage) -> dict[str, bytes]:
    """Return what `docker save` wrote before release 25: folders of uncompressed layers."""
    files: dict[str, bytes] = {}
    names = []
    for number, tar in enumerate(image.tars):
        identifier = sha256(f"layer {number}")
        files[f"{identifier}/VERSION"] = b"1.0"
        files[f"{identifier}/json"] = as_json({"id": identifier})
        files[f"{identifier}/layer.tar"] = tar
        names.append(f"{identifier}/layer.tar")
    config = f"{sha256(image.config)}.json"
    files[config] = image.config
    files["repositories"] = as_json({"train": {"latest": "0"}})
    files["manifest.json"] = as_json([{"Config": config, "RepoTags": ["train:latest"], "Layers": names}])
    return files


def archive_of(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files and their folders."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in sorted({str(parent) for file in files for parent in Path(file).parents} - {"."}):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def lay_out(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
