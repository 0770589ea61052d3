"""What a record says of the target that a run is in.  Pure."""

from typing import Any

from envbuild.lock.identity import RECIPE_FORMAT, tag_of
from envbuild.lock.model import Lock, Target


def recorded_target(lock: Lock, target: Target, digest: str) -> dict[str, Any]:
    """Return the first part of a record, as plain JSON values; ``digest`` is the target's."""
    return {
        "version": 1,
        "name": lock.request.name,
        "variant": target.variant,
        "platform": target.platform,
        "target": digest,
        "tag": tag_of(digest),
        "format": RECIPE_FORMAT,
    }
