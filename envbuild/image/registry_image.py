"""An image in a registry, found by its tag and named by its digest from then on.

Nothing but its manifest and its configuration is read; both are checked against their digests.  No layer is.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envbuild.errors import ImageError, VerificationError
from envbuild.image.facts import ImageFacts, facts_of_config
from envbuild.lock.identity import tag_of
from envbuild.oci.manifest import Descriptor, ManifestError, is_digest
from envbuild.oci.reference import parse_reference
from envbuild.platforms import Platform
from envbuild.render import labels

if TYPE_CHECKING:
    # with it comes an HTTP client, which what asks an engine alone does not wait for
    from envbuild.remote.registry.client import RegistryClient


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryImage:
    """What a tag names in its registry."""

    reference: str
    """``repository:tag``, as it was asked for."""

    digest: str
    """What the tag names: of an index, or of the manifest itself."""

    manifest: str
    """Digest of the platform's manifest."""

    platform: Platform

    facts: ImageFacts
    """What its configuration says; the ID is the digest of the manifest."""

    layers: tuple[Descriptor, ...]
    """Bottom first."""

    base_layers: int = 0
    """How many of the layers, from the bottom, are known to be those of an image base."""

    @property
    def pinned(self) -> str:
        """``repository@sha256:…`` of what the tag names."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"

    @property
    def made_by(self) -> str:
        """Name of the engine that built it, as its label says."""
        return self.facts.labels.get(labels.ENGINE, "")

    @property
    def size(self) -> int:
        """Bytes of all layers as the registry has them."""
        return sum(layer.size for layer in self.layers)


def find_in_registry(reference: str, platform: Platform, client: "RegistryClient") -> RegistryImage | None:
    """Return what the tag of ``reference`` names for ``platform``; None: it names nothing.

    The tag is resolved once; everything after that is asked for by digest.

    :raises VerificationError: it is no image that every engine takes for one of ``platform``.
    :raises NetworkError: the registry is out of reach or refuses.
    :raises IntegrityError: an answer is not what its digest says.
    """
    parsed = parse_reference(reference)
    digest = client.digest_of(parsed)
    if digest is None:
        return None
    try:
        found = client.resolve(parsed.at(digest), platform, any_platform=True)
        config = found.config
        facts = facts_of_config(
            config.document, identifier=found.digest, size=sum(layer.size for layer in found.layers)
        )
    except (ImageError, ManifestError) as error:
        raise VerificationError(
            f"{reference} in its registry is not an image for {platform.name}",
            detail=error.message,
            hint="delete the tag in the registry, or find out who pushed it",
        ) from error
    made_for = f"{config.os or '?'}/{config.architecture or '?'}"
    if made_for != platform.name:
        raise VerificationError(
            f"{reference} in its registry is an image for {made_for}, not for {platform.name}",
            hint="delete the tag in the registry, or find out who pushed it",
        )
    return RegistryImage(
        reference=reference,
        digest=digest,
        manifest=found.digest,
        platform=platform,
        facts=facts,
        layers=found.layers,
    )


def require_own_tag(image: RegistryImage) -> None:
    """Return if an image says that it was built by envbuild from the target that its tag stands for.

    :raises VerificationError: it does not.
    """
    target = image.facts.labels.get(labels.TARGET, "")
    if not is_digest(target) or image.reference.rpartition(":")[2] != tag_of(target):
        raise VerificationError(
            f"{image.reference} in its registry is not an image that envbuild gave this tag",
            hint="check the name; `docker pull` takes images of other programs",
        )
