"""Registries as the local engine uses them: bases are read from one, images are pushed to one."""

from collections.abc import Mapping
from pathlib import Path

from envbuild.cache.folders import DOCUMENTS
from envbuild.image.engine import BuiltImage
from envbuild.image.local.images import facts_of
from envbuild.image.local.layers.blobs import base_reference
from envbuild.image.local.push_memory import PushMemory
from envbuild.image.push import digest_before_push, digest_there
from envbuild.oci.blobs import Blobs
from envbuild.oci.image import OciImage
from envbuild.oci.push import push_image
from envbuild.oci.reference import ImageReference, parse_reference
from envbuild.progress import Progress
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import OfflineTransport, RegistryTransport
from envbuild.remote.registry.writer import RegistryWriter


def document_registry(cache: Path, *, environment: Mapping[str, str], offline: bool) -> RegistryClient:
    """Return a reader of registries that keeps documents below ``cache``; offline it has nothing else."""
    transport = OfflineTransport() if offline else None
    return RegistryClient(environment=environment, documents=DOCUMENTS.path(cache), transport=transport)


def push_built(
    built: BuiltImage,
    content: OciImage,
    *,
    blobs: Blobs,
    cache: Path,
    environment: Mapping[str, str],
    progress: Progress,
) -> str:
    """Push an image unless its registry has it; return its digest there.

    :raises NetworkError: the tag names another image there, or the registry refuses this one.
    """
    reference = parse_reference(built.reference)
    transport = RegistryTransport(environment=environment)
    registry = RegistryClient(transport=transport)
    there = digest_before_push(transport, reference)
    if there is not None:
        return there if there == content.descriptor.digest else digest_there(registry, reference, built.facts)
    progress.on_stage(f"pushing {built.reference}")
    memory = PushMemory(cache)
    pushed = push_image(
        content,
        reference,
        writer=RegistryWriter(transport),
        blobs=blobs,
        mounts={**memory.repositories(reference), **_base_mounts(content, reference)},
        progress=progress,
    )
    memory.note(reference, [layer.digest for layer in content.layers])
    return pushed.digest


def _base_mounts(image: OciImage, reference: ImageReference) -> Mapping[str, str]:
    """Return the repository that has the base's layers, where it is one of the same registry."""
    base = base_reference(facts_of(image).labels)
    if base is None or base.registry != reference.registry or base.repository == reference.repository:
        return {}
    return {layer.digest: base.repository for layer in image.layers[: image.base_layers]}
