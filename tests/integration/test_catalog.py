"""Updating the catalogue from Debian's own registry, page by page."""

import hashlib
import json

import pytest

from envbuild.catalog.cuda_images import cuda_images
from envbuild.catalog.tables import Catalog
from envbuild.catalog.update import update_from_tags
from envbuild.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from envbuild.oci.reference import parse_reference
from envbuild.remote.registry import client
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import RegistryTransport
from envbuild.remote.registry.writer import RegistryWriter
from tests.rig.registry import Registry

pytestmark = pytest.mark.network
"""The registry is a Debian package."""

TAGS = [image.tag for image in cuda_images(cuda="12", flavour="base")]
REPOSITORY = "mirrored/cuda"
"""Of this test alone: others push images as nvidia/cuda to the same registry."""

NEW = "12.9.9-base-ubuntu24.04"


def put_images(registry: Registry, repository: str, tags: list[str]) -> None:
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    )
    digest = f"sha256:{hashlib.sha256(config.encode()).hexdigest()}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest, "size": len(config)},
        "layers": [],
    }
    writer = RegistryWriter(RegistryTransport(environment={}))
    writer.put_blob(parse_reference(f"{registry.host}/{repository}"), digest, config.encode())
    for tag in tags:
        reference = parse_reference(f"{registry.host}/{repository}:{tag}")
        writer.put_manifest(reference, OCI_MANIFEST, json.dumps(manifest).encode())


def test_all_pages_of_a_real_registry_become_the_images(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TAGS_A_PAGE", "40")
    put_images(registry, REPOSITORY, [*TAGS, NEW, "latest"])

    tags = RegistryClient(environment={}).all_tags(parse_reference(f"{registry.host}/{REPOSITORY}"))
    found = update_from_tags(tags, source=f"{registry.host}/{REPOSITORY}")

    assert sorted(tags) == sorted([*TAGS, NEW, "latest"])
    assert (found.listed, found.new, found.passed_over) == (len(TAGS) + 1, (NEW,), 1)
    assert {image.tag for image in cuda_images(catalog=Catalog(found.update))} == {*TAGS, NEW}
