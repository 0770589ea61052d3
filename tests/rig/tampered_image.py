"""Tampered images where a verification finds images: layouts, archives, engines and registries."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import requests

from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.store import layer_path
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import Descriptor
from tests.rig.good_image import GoodImage, Nodes, laid_over
from tests.rig.registry import Registry
from tests.rig.tampering import Change, Entry, Tampering, folder

PLAIN = "application/vnd.oci.image.layer.v1.tar"
GZIP = f"{PLAIN}+gzip"

Packing = Literal["plain", "gzip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TamperedImage:
    """A changed image: what is new of it in memory, the rest where the good one lies."""

    good: GoodImage
    config: bytes
    layers: tuple[Descriptor, ...]
    blobs: dict[str, bytes]
    """New layers by digest."""

    tars: tuple[bytes, ...]
    """All layers unpacked, bottom first."""

    @property
    def manifest(self) -> bytes:
        document = self.good.manifest | {
            "config": {
                "mediaType": self.good.manifest["config"]["mediaType"],
                "digest": digest_of(self.config),
                "size": len(self.config),
            },
            "layers": [
                {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
                for layer in self.layers
            ],
        }
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

    @property
    def nodes(self) -> Nodes:
        """Every path of it."""
        shared = len(self.good.tars)
        if self.tars[:shared] == self.good.tars:
            return laid_over(self.good.nodes, self.tars[shared:])
        return laid_over({}, self.tars)

    def layout(self, place: Path, *, name: str = "tampered") -> Path:
        """Write an OCI layout; blobs of the good one are linked."""
        blobs = place / "blobs/sha256"
        blobs.mkdir(parents=True)
        for layer in self.layers:
            if layer.digest not in self.blobs:
                os.link(
                    self.good.layout / "blobs" / _path(layer.digest), place / "blobs" / _path(layer.digest)
                )
        for data in (*self.blobs.values(), self.config, self.manifest):
            (place / "blobs" / _path(digest_of(data))).write_bytes(data)
        (place / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        entry = self.good.entry | {
            "digest": digest_of(self.manifest),
            "size": len(self.manifest),
            "annotations": {"org.opencontainers.image.ref.name": name},
        }
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        }
        (place / "index.json").write_text(json.dumps(index))
        return place

    def archive(self, path: Path, reference: str, *, is_partial: bool = False) -> Path:
        """Write a tar that engines load; a partial one leaves out what an engine has of the good image."""
        manifest = {
            "Config": f"blobs/{_path(digest_of(self.config))}",
            "RepoTags": [reference],
            "Layers": [f"blobs/{_path(layer.digest)}" for layer in self.layers],
        }
        entry = self.good.entry | {
            "digest": digest_of(self.manifest),
            "size": len(self.manifest),
            "annotations": {"io.containerd.image.name": f"docker.io/library/{reference}"},
        }
        documents = {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
            "manifest.json": json.dumps([manifest]).encode(),
            **{f"blobs/{_path(digest_of(data))}": data for data in (self.config, self.manifest)},
        }
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, data in documents.items():
                _add(archive, name, data)
            for digest in dict.fromkeys(layer.digest for layer in self.layers):
                if not is_partial or digest in self.blobs:
                    _add(archive, f"blobs/{_path(digest)}", self.read(digest))
        return path

    def load(self, scratch: Path, reference: str) -> str:
        """Give it to the Docker Engine, which holds the good one, under a name.

        :raises RuntimeError: the engine refuses.
        """
        path, said = scratch / "image.tar", ""
        for is_partial in (True, False):
            self.archive(path, reference, is_partial=is_partial)
            done = subprocess.run(
                ["docker", "load", "--quiet", "--input", path],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            path.unlink()
            if done.returncode == 0:
                return reference
            said = done.stderr.strip()
            # an engine may keep the name of an image it could not unpack
            subprocess.run(["docker", "image", "rm", reference], capture_output=True, timeout=60, check=False)
        raise RuntimeError(said)

    def push(self, registry: Registry, name: str, tag: str = "latest") -> str:
        """Copy it into a registry, blob by blob; return its reference."""
        repository = f"{registry.url}/v2/{name}"
        with requests.Session() as session:
            session.auth = registry.auth
            for digest in {*(layer.digest for layer in self.layers), digest_of(self.config)}:
                if session.head(f"{repository}/blobs/{digest}", timeout=30).ok:
                    continue
                begun = session.post(f"{repository}/blobs/uploads/", timeout=30)
                begun.raise_for_status()
                session.put(
                    requests.compat.urljoin(repository, begun.headers["Location"]),
                    params={"digest": digest},
                    data=self.read(digest),
                    headers={"Content-Type": "application/octet-stream"},
                    timeout=120,
                ).raise_for_status()
            session.put(
                f"{repository}/manifests/{tag}",
                data=self.manifest,
                headers={"Content-Type": self.good.entry["mediaType"]},
                timeout=30,
            ).raise_for_status()
        return f"{registry.host}/{name}:{tag}"

    def keep(self, cache: Path, reference: str) -> str:
        """Lay it into the image store of the local engine, with all its layers: none is a base's any more."""
        for layer in self.layers:
            path = layer_path(cache, layer.digest)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.read(layer.digest))
        image = OciImage(
            config=self.config,
            manifest=self.manifest,
            layers=self.layers,
            diff_ids=tuple(json.loads(self.config)["rootfs"]["diff_ids"]),
        )
        ImageStore(cache).put(reference, image)
        return reference

    def read(self, digest: str) -> bytes:
        if digest == digest_of(self.config):
            return self.config
        return self.blobs[digest] if digest in self.blobs else self.good.blob(digest)


def tamper(good: GoodImage, tampering: Tampering, *, packing: Packing = "plain") -> TamperedImage:
    """Make the image of a tampering."""
    change = tampering.make(good)
    layers = [
        Descriptor(media_type=layer["mediaType"], digest=layer["digest"], size=layer["size"])
        for layer in good.manifest["layers"]
    ]
    document = good.config
    tars, blobs = list(good.tars), {}
    diff_ids: list[str] = document["rootfs"]["diff_ids"]
    if change.is_squashed:
        layers, tars = [], []
        diff_ids.clear()
        document["history"].clear()
    if change.entries or change.is_squashed:
        tar = _squashed(good, change) if change.is_squashed else layer_of(good, change)
        data, media_type = (tar, PLAIN) if packing == "plain" else (gzip.compress(tar, 1, mtime=0), GZIP)
        layers.append(Descriptor(media_type=media_type, digest=digest_of(data), size=len(data)))
        blobs[layers[-1].digest] = data
        tars.append(tar)
        diff_ids.append(digest_of(tar))
        document["history"].append({"created": document["created"], "created_by": "one more"})
    config = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    if change.config:
        config = change.config(config)
    return TamperedImage(good=good, config=config, layers=tuple(layers), blobs=blobs, tars=tuple(tars))


def layer_of(good: GoodImage, change: Change) -> bytes:
    """Return the tar of a change: before an entry come the folders above it, as the image has them."""
    entries: list[Entry] = []
    seen: set[str] = set()
    for info, content in change.entries:
        if not change.is_bare:
            entries += _folders_above(good, info.name, seen)
        seen.add(info.name)
        entries.append((info, content))
    return tar_of(entries)


def tar_of(entries: Iterable[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return buffer.getvalue()


def changed_places(tampered: TamperedImage) -> set[str]:
    """Return the paths, and the fields of the configuration, that differ from the good image."""
    before, after = tampered.good.nodes, tampered.nodes
    places = set()
    for path in before.keys() | after.keys():
        one, other = before.get(path), after.get(path)
        if one is other:
            continue
        if (
            one is None
            or other is None
            or one.record != other.record
            or (one.content and other.content and one.content.read() != other.content.read())
        ):
            places.add(path or "/")
    return places | _changed_fields(tampered)


def _changed_fields(tampered: TamperedImage) -> set[str]:
    # a layer more is no change of its own: what it holds is
    left_out = {"history", "rootfs"}
    one, other = tampered.good.config, json.loads(tampered.config, object_pairs_hook=_all_pairs)
    fields = {
        f"{prefix}{name}"
        for prefix, before, after in (("", one, other), ("config.", one["config"], other["config"]))
        for name in before.keys() | after.keys()
        if name not in left_out | {"config"} and before.get(name) != after.get(name)
    }
    for kind in ("Labels", "Env"):
        pairs = [_pairs(document["config"].get(kind)) for document in (one, other)]
        fields |= {f"config.{kind}.{name}" for name, _ in pairs[0] ^ pairs[1]}
    return fields


def _pairs(value: Any) -> set[tuple[str, str]]:
    if isinstance(value, dict):
        return set(value.items())
    return {(name, text) for name, _, text in (item.partition("=") for item in value or ())}


def _all_pairs(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Keep fields that are there twice as two."""
    document: dict[str, Any] = {}
    for name, value in pairs:
        document[f"{name} again" if name in document else name] = value
    return document


def _folders_above(good: GoodImage, name: str, seen: set[str]) -> Iterator[Entry]:
    parts = name.split("/")[:-1]
    for number in range(1, len(parts) + 1):
        path = "/".join(parts[:number])
        if path in seen or path in {"", "."} or ".." in parts[:number]:
            continue
        seen.add(path)
        node = good.nodes.get(path)
        if node is None:
            yield folder(path)
        elif node.info.isdir():
            yield good.info(path), b""


def _squashed(good: GoodImage, change: Change) -> bytes:
    """Return all layers as one tar, in an order of its own, with hard links as files of their own."""
    entries = {info.name: (info, content) for info, content in change.entries}
    nodes = good.nodes
    for path in sorted(nodes):
        if path not in entries:
            content = nodes[path].content
            entries[path] = (good.info(path), content.read() if content else b"")
    return tar_of(entries[path] for path in sorted(entries))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _path(digest: str) -> str:
    return digest.replace(":", "/")


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
