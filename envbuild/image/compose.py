"""The documents of a target's image: its configuration and its manifest, from the lock and the layers.

Pure: nothing but the arguments has a part in it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from envbuild.digest import canonical_json
from envbuild.errors import SpecError
from envbuild.lock.identity import epoch_of, image_environment, target_digest
from envbuild.lock.model import Lock, Target
from envbuild.oci.base import BaseImage
from envbuild.oci.image import OciImage, as_json, described
from envbuild.oci.layer import Layer
from envbuild.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor
from envbuild.render import labels
from envbuild.render.layers import MOST_LAYERS

ENGINE_NAME: Final = "local"
"""Value of the label that says what made an image."""

CREATED: Final = "org.opencontainers.image.created"


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
    created = created_at(lock, target)
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
            "config": settings_of(
                lock,
                target,
                digest,
                inherited=base.settings if base else {},
                engine=ENGINE_NAME,
                order=base.environment if base else ("PATH",),
            ),
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


def settings_of(
    lock: Lock,
    target: Target,
    digest: str,
    *,
    inherited: Mapping[str, Any],
    engine: str,
    order: Sequence[str] = ("PATH",),
) -> dict[str, Any]:
    """Return what a container starts with: a base's own settings under ours, as a Dockerfile has it.

    ``inherited`` are those settings, ``order`` the names of the base's variables.  What the base wants to be
    done in builds upon it is done, or not, while one is built, and is not handed on.
    """
    kept = {name: value for name, value in inherited.items() if name not in {"Entrypoint", "OnBuild"}}
    env = image_environment(lock, target, digest)
    names = [name for name in order if name in env]
    names += sorted(env.keys() - set(names))
    return {
        **kept,
        "User": f"{target.user.uid}:{target.user.gid}",
        "Env": [f"{name}={env[name]}" for name in names],
        "WorkingDir": target.workdir,
        "Cmd": list(target.command),
        "Labels": {
            **(inherited.get("Labels") or {}),
            **labels.labels_of(lock, target, digest, engine=engine),
        },
    }


def created_at(lock: Lock, target: Target) -> str:
    """Return when an image of ``target`` counts as made: the lock's epoch (RFC 3339)."""
    return datetime.fromtimestamp(epoch_of(lock, target), UTC).isoformat().replace("+00:00", "Z")
