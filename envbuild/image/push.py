"""What must hold before an image is pushed: a tag that stands for content never changes its content."""

from envbuild.errors import NetworkError
from envbuild.image.engine import ImageFacts
from envbuild.platforms import PLATFORMS
from envbuild.remote.reference import parse_reference
from envbuild.remote.registry import RegistryClient


def refuse_to_overwrite(reference: str, image: ImageFacts) -> str | None:
    """Return the digest under which the registry already has ``image``, or None when the tag is free there.

    Two images are the same when their uncompressed layers and labels are: a push may compress anew.

    :raises NetworkError: the tag names another image.
    """
    registry = RegistryClient()
    parsed = parse_reference(reference)
    digest = registry.digest_of(parsed)
    if digest is None:
        return None
    platform = next(item for item in PLATFORMS.values() if item.architecture == image.architecture)
    there = registry.resolve(parsed, platform)
    if there.config.diff_ids == image.diff_ids:
        return digest
    raise NetworkError(
        f"{reference} already names another image in its registry",
        hint="another engine builds other bytes from the same lock; pull that image, or delete the tag",
    )
