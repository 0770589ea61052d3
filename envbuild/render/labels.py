"""Labels an image made by envbuild carries: OCI annotation keys (image-spec, annotations.md) and our own."""

from envbuild.lock.identity import RECIPE_FORMAT, tag_of
from envbuild.lock.model import Lock, Target

TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

TARGET = "dev.envbuild.target"
"""Digest of the target it was made from."""

ENGINE = "dev.envbuild.engine"
"""What made it: the same target has other bytes from another engine."""

FORMAT = "dev.envbuild.format"
"""Number of the recipe format."""

VARIANT = "dev.envbuild.variant"


def labels_of(lock: Lock, target: Target, digest: str, *, engine: str) -> dict[str, str]:
    """Return the labels of the image ``engine`` makes of ``target``, whose digest is ``digest``."""
    values = {
        TITLE: lock.request.name,
        VERSION: tag_of(digest),
        TARGET: digest,
        ENGINE: engine,
        FORMAT: str(RECIPE_FORMAT),
        VARIANT: target.variant,
    }
    base = lock.base(target)
    if base.image:
        values[BASE_NAME] = base.image.reference
        values[BASE_DIGEST] = base.image.digest
    return values
