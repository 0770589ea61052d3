"""What must hold before an image is pushed: a tag that stands for content never changes its content."""

from collections.abc import Mapping
from typing import Protocol

from envbuild.errors import NetworkError
from envbuild.image.facts import ImageFacts
from envbuild.oci.reference import ImageReference, parse_reference
from envbuild.platforms import PLATFORMS
from envbuild.progress import Progress
from envbuild.remote.registry.auth import LoginError
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import RegistryTransport


class Pusher(Protocol):
    """An engine that can push."""

    def push_name(self, reference: str, *, progress: Progress) -> None:
        """Push a local image."""


def push_once(
    engine: Pusher,
    reference: str,
    image: ImageFacts,
    *,
    environment: Mapping[str, str],
    progress: Progress,
) -> str:
    """Push ``image`` unless the registry has it already, and return its digest there.

    Two images are the same when their uncompressed layers are: a push may compress anew.

    :raises NetworkError: the tag names another image there, or the registry does not take this one.
    """
    transport = RegistryTransport(environment=environment)
    registry, parsed = RegistryClient(transport=transport), parse_reference(reference)
    if digest_before_push(transport, parsed) is None:
        engine.push_name(reference, progress=progress)
    return digest_there(registry, parsed, image)


def digest_before_push(transport: RegistryTransport, reference: ImageReference) -> str | None:
    """Return what a tag names before it is pushed to; None: nothing.

    Some registries refuse to say so of a repository that is not there yet, unless the login asks to push.

    :raises NetworkError: the registry is out of reach or refuses.
    """
    try:
        return RegistryClient(transport=transport).digest_of(reference)
    except LoginError:
        return RegistryClient(transport=transport, actions="pull,push").digest_of(reference)


def digest_there(registry: RegistryClient, reference: ImageReference, image: ImageFacts) -> str:
    """Return the digest of ``image`` in the registry, where its tag names something.

    :raises NetworkError: the tag names another image there.
    """
    platform = next(item for item in PLATFORMS.values() if item.architecture == image.architecture)
    there = registry.resolve(reference, platform)
    if there.config.diff_ids != image.diff_ids:
        raise NetworkError(
            f"{reference.familiar} already names another image in its registry",
            hint="another engine builds other bytes from the same lock; pull that image, or delete the tag",
        )
    return there.index or there.digest
