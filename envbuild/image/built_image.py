"""Which image is a target's: its name, the labels that prove it, and whether an engine holds it.

The tag alone proves nothing: anybody can give an image another's name.  Every command asks here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from envbuild.errors import VerificationError
from envbuild.image.engine import ImageHolder
from envbuild.image.facts import ImageFacts
from envbuild.image.registry_image import RegistryImage, find_in_registry
from envbuild.lock.identity import EARLIER_FORMATS, RECIPE_FORMAT, tag_of, target_digest
from envbuild.lock.model import Lock, Target
from envbuild.platforms import PLATFORMS
from envbuild.render import labels

if TYPE_CHECKING:
    # with it comes an HTTP client, which what asks an engine alone does not wait for
    from envbuild.remote.registry.client import RegistryClient


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldImage:
    """The image of a target that an engine holds."""

    reference: str
    facts: ImageFacts
    made_by: str
    """Name of the engine that built it; a loaded or pulled image may be another engine's."""


def image_reference_for(lock: Lock, target: Target, *, recipe_format: int = RECIPE_FORMAT) -> str:
    """Return ``repository:tag`` of the target's image, as ``recipe_format`` names it.

    Without ``[image] repository`` the environment's name is the repository: a local name only.
    """
    repository = lock.request.repository or lock.request.name
    return f"{repository}:{tag_of(target_digest(lock, target, recipe_format=recipe_format))}"


def held_image(
    lock: Lock, target: Target, holder: ImageHolder, *, recipe_format: int = RECIPE_FORMAT
) -> HeldImage | None:
    """Return the image of a target that ``holder`` has, whichever engine built it; None: it has none.

    :raises EngineError: the engine does not answer.
    """
    reference = image_reference_for(lock, target, recipe_format=recipe_format)
    facts = holder.find(reference)
    if facts is None or not is_image_of(
        facts, target_digest(lock, target, recipe_format=recipe_format), recipe_format=recipe_format
    ):
        return None
    return HeldImage(reference=reference, facts=facts, made_by=facts.labels.get(labels.ENGINE, ""))


def registry_image(lock: Lock, target: Target, client: "RegistryClient") -> RegistryImage | None:
    """Return the image of a target that its registry has, whichever engine built it; None: it has none.

    :raises VerificationError: the tag names another image there.
    :raises NetworkError: the registry is out of reach or refuses.
    :raises IntegrityError: an answer of the registry is not what its digest says.
    """
    reference = image_reference_for(lock, target)
    found = find_in_registry(reference, PLATFORMS[target.platform], client)
    if found is None:
        return None
    digest = target_digest(lock, target)
    if not is_image_of(found.facts, digest):
        raise VerificationError(
            f"{reference} in its registry is not the image of this lock",
            detail="\n".join(_wrong_labels(found.facts, digest)),
            hint=f"somebody pushed {found.pinned} under this tag: delete the tag in the registry, then build "
            "and push again",
        )
    return replace(found, base_layers=_base_layers(lock, target, found))


def earlier_images(lock: Lock, target: Target, holder: ImageHolder) -> Iterator[HeldImage]:
    """Yield the images of a target that earlier releases built in earlier recipe formats, newest first.

    :raises EngineError: the engine does not answer.
    """
    for recipe_format in EARLIER_FORMATS:
        held = held_image(lock, target, holder, recipe_format=recipe_format)
        if held is not None:
            yield held


def earlier_format(facts: ImageFacts) -> int | None:
    """Return the recipe format of an image that an earlier release built; None: it is today's, or unknown."""
    named = facts.labels.get(labels.FORMAT, "")
    return next((number for number in EARLIER_FORMATS if str(number) == named), None)


def is_image_of(facts: ImageFacts, digest: str, *, recipe_format: int = RECIPE_FORMAT) -> bool:
    """Return whether the labels of an image say that it was built from the target of ``digest``."""
    expected = _expected_labels(digest, recipe_format)
    return all(facts.labels.get(label) == value for label, value in expected.items())


def _expected_labels(digest: str, recipe_format: int) -> dict[str, str]:
    return {labels.TARGET: digest, labels.FORMAT: str(recipe_format)}


def _wrong_labels(facts: ImageFacts, digest: str) -> Iterator[str]:
    for label, value in _expected_labels(digest, RECIPE_FORMAT).items():
        found = facts.labels.get(label)
        if found != value:
            yield f"label {label} is {found or 'not there'}, not {value}"


def _base_layers(lock: Lock, target: Target, image: RegistryImage) -> int:
    """Return how many layers of an image are its locked base's own, byte for byte."""
    source = lock.base(target).image
    below = source.layers if source else ()
    own = tuple(layer.digest for layer in image.layers[: len(below)])
    return len(below) if own == below else 0
