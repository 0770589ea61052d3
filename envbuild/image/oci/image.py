"""An image as two documents: its configuration and its manifest (OCI image-spec 1.1).

Pure: layers and the lock in, bytes out.  Where the layers' own bytes lie is left to ``blobs.py``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.errors import SpecError
from envbuild.image.layer import Layer
from envbuild.image.oci.base import BaseImage
from envbuild.lock.identity import epoch_of, target_digest
from envbuild.lock.model import Lock, Target
from envbuild.remote.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor
from envbuild.render import labels
from envbuild.render.layers import MOST_LAYERS

ENGINE_NAME: Final = "local"
"""Value of the label that says what made an image."""

CREATED: Final = "org.opencontainers.image.created"


@dataclass(frozen=True)
class OciImage:
    """An image without the bytes of its layers."""

    config: bytes
    manifest: bytes
    layers: tuple[Descriptor, ...]
    """Bottom first."""

    diff_ids: tuple[str, ...]
    """Digests of the uncompressed layers, bottom first."""

    base_layers: int = 0
    """How many of the layers, from the bottom, are those of an image base."""

    @cached_property
    def config_descriptor(self) -> Descriptor:
        """The configuration by digest."""
        return described(self.config, OCI_CONFIG)

    @cached_property
    def descriptor(self) -> Descriptor:
        """The manifest by digest."""
        return described(self.manifest, OCI_MANIFEST)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The configuration, read."""
        document: dict[str, Any] = json.loads(self.config)
        return document

    @property
    def architecture(self) -> str:
        """As OCI names it."""
        return str(self.document["architecture"])

    @property
    def size(self) -> int:
        """Bytes of the layers as they are stored and sent."""
        return sum(layer.size for layer in self.layers)


def compose_image(
    lock: Lock, target: Target, layers: Sequence[Layer], *, base: BaseImage | None = None
) -> OciImage:
    """Return the image of ``target`` that has ``layers``, bottom first, on those of ``base``.

    Nothing but the arguments has a part in it: every time is the lock's epoch.

    :raises SpecError: there are more layers than engines take.
    """
    below = base.layers if base else ()
    require_room(len(below), len(layers))
    digest = target_digest(lock, target)
    created = datetime.fromtimestamp(epoch_of(lock, target), UTC).isoformat().replace("+00:00", "Z")
    diff_ids = (*(base.diff_ids if base else ()), *(layer.diff_id for layer in layers))
    history = [
        *(base.history if base else ()),
        *({"created": created, "created_by": layer.comment, "comment": "envbuild"} for layer in layers),
    ]
    config = canonical_json(
        {
            "created": created,
            "os": "linux",
            "architecture": target.platform.partition("/")[2],
            **({"variant": base.variant} if base and base.variant else {}),
            "config": _settings(lock, target, digest, base),
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            "history": history,
        }
    )
    descriptors = (
        *below,
        *(Descriptor(media_type=item.media_type, digest=item.digest, size=item.size) for item in layers),
    )
    manifest = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": as_json(described(config, OCI_CONFIG)),
            "layers": [as_json(descriptor) for descriptor in descriptors],
            "annotations": {CREATED: created, **labels.labels_of(lock, target, digest, engine=ENGINE_NAME)},
        }
    )
    return OciImage(
        config=config, manifest=manifest, layers=descriptors, diff_ids=diff_ids, base_layers=len(below)
    )


def require_room(below: int, above: int) -> None:
    """Return if an image of ``above`` layers on a base of ``below`` is one that engines take.

    :raises SpecError: it is not.
    """
    if below + above > MOST_LAYERS:
        raise SpecError(
            f"the base has {below} layers, and {above} more would be laid on it: "
            f"engines stop at about {MOST_LAYERS}",
            hint=f"choose a base of at most {MOST_LAYERS - above} layers, or flatten it into one",
        )


def described(data: bytes, media_type: str) -> Descriptor:
    """Return the descriptor of a document."""
    return Descriptor(media_type=media_type, digest=f"sha256:{sha256_bytes(data)}", size=len(data))


def as_json(descriptor: Descriptor) -> dict[str, Any]:
    """Return a descriptor as documents have it (image-spec, descriptor.md)."""
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}


def _settings(lock: Lock, target: Target, digest: str, base: BaseImage | None) -> dict[str, Any]:
    """Return what a container starts with: the base's own settings under ours, as a Dockerfile has it."""
    inherited = dict(base.settings) if base else {}
    inherited.pop("Entrypoint", None)
    first = list(base.environment) if base else ["PATH"]
    names = [name for name in first if name in target.env]
    names += sorted(target.env.keys() - set(names))
    return {
        **inherited,
        "User": f"{target.user.uid}:{target.user.gid}",
        "Env": [f"{name}={target.env[name]}" for name in names],
        "WorkingDir": target.workdir,
        "Cmd": list(target.command),
        "Labels": {
            **(inherited.get("Labels") or {}),
            **labels.labels_of(lock, target, digest, engine=ENGINE_NAME),
        },
    }
