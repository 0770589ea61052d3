"""Wheels that others built already, by the key of their build: in a vendored folder, beside an image.

In a registry a wheel is an artifact of its own in the image's repository (OCI image-spec, "Guidelines for
Artifact Usage"), with a tag made of the key.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from envbuild.errors import NetworkError
from envbuild.workflows.machine import Machine

if TYPE_CHECKING:
    from envbuild.oci.reference import ImageReference
    from envbuild.remote.registry.transport import RegistryTransport
    from envbuild.resolve.sources.wheel_content import WheelContent

ARTIFACT_TYPE: Final = "application/vnd.envbuild.wheel.v1"
_CONFIG_TYPE: Final = "application/vnd.oci.empty.v1+json"
_WHEEL_TYPE: Final = "application/vnd.pypa.wheel"
_TITLE: Final = "org.opencontainers.image.title"

_NO_WHEEL: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What documents that speak of no wheel bring about."""

LARGEST_WHEEL: Final = 2 << 30
"""Bytes that are taken from a registry."""


@dataclass(frozen=True)
class RegistryWheels:
    """Built wheels in the repository that images are pushed to."""

    repository: str
    machine: Machine

    def find(self, key: str) -> "tuple[WheelContent, bytes] | None":
        """Return the wheel of a build and its bytes; None: nobody kept it, or nobody can be asked."""
        from envbuild.errors import BuildFailedError
        from envbuild.resolve.sources.wheel_content import named_by_key, read_wheel_content

        try:
            file, data = self._fetch(key)
            return named_by_key(read_wheel_content(file, data, package=_package(file)), key), data
        except (NetworkError, BuildFailedError, *_NO_WHEEL):
            return None

    def keep(self, key: str, file: str, path: Path) -> None:
        """Store the wheel ``file``, which lies at ``path``, under ``key``, unless it is there.

        :raises NetworkError: the registry is out of reach or refuses.
        """
        from envbuild.digest import canonical_json, sha256_bytes, sha256_file
        from envbuild.oci.manifest import OCI_MANIFEST
        from envbuild.remote.registry.client import RegistryClient
        from envbuild.remote.registry.writer import RegistryWriter

        reference = self._reference(key)
        if RegistryClient(transport=self._transport).digest_of(reference) is not None:
            return
        writer, empty = RegistryWriter(self._transport), b"{}"
        digest = f"sha256:{sha256_file(path)}"
        writer.put_blob(reference, f"sha256:{sha256_bytes(empty)}", empty)
        writer.put_blob(reference, digest, path)
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": {
                "mediaType": _CONFIG_TYPE,
                "digest": f"sha256:{sha256_bytes(empty)}",
                "size": len(empty),
            },
            "layers": [
                {
                    "mediaType": _WHEEL_TYPE,
                    "digest": digest,
                    "size": path.stat().st_size,
                    "annotations": {_TITLE: file},
                }
            ],
        }
        writer.put_manifest(reference, OCI_MANIFEST, canonical_json(manifest))

    def _fetch(self, key: str) -> tuple[str, bytes]:
        from envbuild.oci.manifest import Descriptor
        from envbuild.remote.registry.client import RegistryClient

        client, reference = RegistryClient(transport=self._transport), self._reference(key)
        document = json.loads(client.document(reference).data)
        (layer,) = document["layers"]
        blob = Descriptor(media_type=_WHEEL_TYPE, digest=str(layer["digest"]), size=int(layer["size"]))
        if blob.size > LARGEST_WHEEL or document["artifactType"] != ARTIFACT_TYPE:
            raise ValueError("not a wheel")
        return str(layer["annotations"][_TITLE]), b"".join(client.read_blob(reference, blob))

    def _reference(self, key: str) -> "ImageReference":
        from envbuild.oci.reference import parse_reference

        return parse_reference(f"{self.repository}:wheel-{key[:40]}")

    @cached_property
    def _transport(self) -> "RegistryTransport":
        from envbuild.remote.registry.transport import RegistryTransport

        return RegistryTransport(environment=self.machine.environment)


@dataclass(frozen=True, slots=True)
class VendoredWheels:
    """Built wheels in a vendored folder: the wheel, and beside it the note of its build, ``KEY.json``."""

    folder: Path

    def find(self, key: str) -> "tuple[WheelContent, bytes] | None":
        """Return the wheel of a build and its bytes; None: the folder has none, or another one."""
        from envbuild.cache.notes import read_note
        from envbuild.errors import BuildFailedError
        from envbuild.resolve.sources.wheel_content import WheelContent, named_by_key, read_wheel_content

        noted = read_note(self.folder / f"{key}.json", WheelContent.of, is_use=False)
        if noted is None or Path(noted.file).name != noted.file:
            return None
        with suppress(OSError, BuildFailedError, ValueError):
            data = (self.folder / noted.file).read_bytes()
            # the note says where to look; what the wheel is, it says itself
            content = read_wheel_content(noted.file, data, package=_package(noted.file))
            content = named_by_key(content, key)
            return (content, data) if content.sha256 == noted.sha256 else None
        return None


def find_built(key: str, *, machine: Machine, repository: str | None) -> "tuple[WheelContent, bytes] | None":
    """Return the wheel of a build that somebody else kept: in the vendored folder, else in ``repository``."""
    found = VendoredWheels(machine.vendor).find(key) if machine.vendor else None
    if found is None and repository and not machine.offline:
        found = RegistryWheels(repository, machine).find(key)
    return found


def _package(file: str) -> str:
    name, version, *_ = file.split("-")
    return f"{name} {version}"
