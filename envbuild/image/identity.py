"""The names images get: repository and tag, from the lock alone."""

from envbuild.lock.identity import tag_of, target_digest
from envbuild.lock.model import Lock, Target


def image_reference_for(lock: Lock, target: Target) -> str:
    """Return ``repository:tag`` of the target's image.

    Without ``[image] repository`` the environment's name is the repository: a local name only.
    """
    repository = lock.request.repository or lock.request.name
    return f"{repository}:{tag_of(target_digest(lock, target))}"
