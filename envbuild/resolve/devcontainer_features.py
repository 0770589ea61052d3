"""Dev container features: the release a name stands for now, pinned by the digest of its manifest.

A feature is an OCI artifact whose manifest carries the feature's metadata as an annotation (containers.dev,
"Distribution and discovery of Dev Container Features").
"""

import io
import tarfile
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from envbuild.errors import EnvbuildError, SpecError
from envbuild.formats.json_text import parse_json
from envbuild.oci.documents import Document
from envbuild.oci.manifest import Descriptor
from envbuild.oci.reference import ImageReference, parse_reference
from envbuild.progress import Progress
from envbuild.render.devcontainer.features_lock import LockedFeature

MEDIA_TYPE = "application/vnd.devcontainers"
"""Configuration media type of a feature's manifest."""

METADATA = "dev.containers.metadata"
METADATA_FILE = "devcontainer-feature.json"
LARGEST_ARCHIVE = 64 << 20
"""Bytes of a feature that is read for its metadata; most have some kilobytes."""


class FeatureRegistry(Protocol):
    """What is asked of a registry."""

    def document(self, reference: ImageReference) -> Document:
        """Return the manifest ``reference`` names."""

    def read_blob(self, reference: ImageReference, blob: Descriptor) -> Generator[bytes, None, None]:
        """Yield the content of ``blob``, verified at its end."""


def pin_features(
    names: Iterable[str],
    *,
    locked: Mapping[str, LockedFeature],
    registry: FeatureRegistry,
    folder: Path,
    progress: Progress,
) -> tuple[dict[str, LockedFeature], tuple[str, ...]]:
    """Return a pin for each feature and all it needs, and the features that cannot be pinned here.

    What ``locked`` pins stays, and is not asked for.  A folder's feature is beside the configuration, in
    ``folder``: it needs no pin, what it depends on does.  Archives by address are left to the dev container
    CLI, which fetches them anyway.

    :raises EnvbuildError: something in a registry is no feature.
    :raises NetworkError: a registry is out of reach, or has no such feature.
    """
    pinned: dict[str, LockedFeature] = {}
    unpinned: list[str] = []
    waiting = sorted(names, reverse=True)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name.startswith("."):
            waiting += _needs(_read_local(folder / name), name)
            continue
        if name not in locked and name.startswith("https://"):
            unpinned.append(name)
            continue
        if name not in locked:
            progress.on_stage(f"feature {name}")
        feature = locked[name] if name in locked else _pin(name, registry)
        pinned[name] = feature
        waiting += feature.depends_on
    return pinned, tuple(unpinned)


def _pin(name: str, registry: FeatureRegistry) -> LockedFeature:
    reference = _reference(name)
    document = registry.document(reference)
    metadata = _metadata(name, reference, document, registry)
    version = metadata.get("version")
    if not isinstance(version, str):
        raise _no_feature(name, "its metadata has no version")
    return LockedFeature(
        version=version,
        resolved=f"{reference.name}@{document.digest}",
        integrity=document.digest,
        depends_on=_needs(metadata, name),
    )


def _reference(name: str) -> ImageReference:
    try:
        return parse_reference(name)
    except SpecError as error:
        raise _no_feature(name, error.message) from error


def _metadata(
    name: str, reference: ImageReference, document: Document, registry: FeatureRegistry
) -> Mapping[str, Any]:
    manifest = _mapping(name, document.data)
    config, layers = manifest.get("config"), manifest.get("layers")
    if not isinstance(config, dict) or config.get("mediaType") != MEDIA_TYPE or not layers:
        raise _no_feature(name, "what the registry has under that name is something else")
    annotation = (manifest.get("annotations") or {}).get(METADATA)
    if isinstance(annotation, str):
        return _mapping(name, annotation.encode())
    # published before the annotation was; then it is in the archive only
    try:
        layer = Descriptor(
            media_type=layers[0]["mediaType"], digest=layers[0]["digest"], size=int(layers[0]["size"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _no_feature(name, "its manifest names no archive") from error
    if layer.size > LARGEST_ARCHIVE:
        raise _no_feature(name, "its archive is too large for one")
    data = b"".join(registry.read_blob(reference.at(document.digest), layer))
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            member = next(item for item in archive if item.name.removeprefix("./") == METADATA_FILE)
            stream = archive.extractfile(member)
            return _mapping(name, stream.read() if stream else b"")
    except (tarfile.TarError, StopIteration) as error:
        raise _no_feature(name, f"its archive has no {METADATA_FILE}") from error


def _read_local(folder: Path) -> Mapping[str, Any]:
    name = folder.name
    try:
        return _mapping(name, (folder / METADATA_FILE).read_bytes())
    except OSError as error:
        raise EnvbuildError(
            f"the feature `./{name}` has no {METADATA_FILE} in {folder.parent}",
            hint="folders of features lie beside devcontainer.json",
        ) from error


def _needs(metadata: Mapping[str, Any], name: str) -> tuple[str, ...]:
    needs = metadata.get("dependsOn") or {}
    if not isinstance(needs, dict):
        raise _no_feature(name, "`dependsOn` in its metadata is no object")
    return tuple(str(need) for need in needs)


def _mapping(name: str, data: bytes) -> Mapping[str, Any]:
    try:
        document = parse_json(data)
    except ValueError as error:
        raise _no_feature(name, "its metadata is not JSON") from error
    if not isinstance(document, dict):
        raise _no_feature(name, "its metadata is not a JSON object")
    return document


def _no_feature(name: str, reason: str) -> EnvbuildError:
    return EnvbuildError(f"`{name}` is no dev container feature: {reason}")
