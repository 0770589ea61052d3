"""The image of a target: found when it is already there, else built from verified artifacts."""

from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import BuildFailedError
from envbuild.image.engine import BuildContext, BuildingEngine, ImageFacts
from envbuild.lock.identity import RECIPE_FORMAT
from envbuild.progress import Progress
from envbuild.render import labels

if TYPE_CHECKING:
    from envbuild.render.recipe import Recipe

DOCKER, LOCAL = "docker", "local"
"""Values of the label that says what made an image."""


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """What came of asking for an image."""

    reference: str
    image: ImageFacts
    built: bool
    """False when the engine already held it."""


def is_image_of(facts: ImageFacts, digest: str, *, engines: Container[str] = (DOCKER,)) -> bool:
    """Return whether an image says it was made from the target of ``digest``, by these engines and format.

    The tag alone is not enough: anybody can give an image another's name.
    """
    expected = {labels.TARGET: digest, labels.FORMAT: str(RECIPE_FORMAT)}
    made_by = facts.labels.get(labels.ENGINE)
    return made_by in engines and all(facts.labels.get(label) == value for label, value in expected.items())


def build_image(
    recipe: "Recipe",
    reference: str,
    *,
    engine: BuildingEngine,
    artifacts: Callable[[], AbstractContextManager[Path]],
    workspace: Callable[[], AbstractContextManager[Path]],
    use_cache: bool,
    progress: Progress,
) -> BuildOutcome:
    """Build ``recipe`` and return what the engine holds afterwards under ``reference``.

    ``artifacts`` lays the verified artifacts out and clears them away.  ``workspace`` gives an empty
    folder for the build context.

    :raises BuildFailedError: a step failed, or the engine lost the image.
    """
    # an image that is found needs neither Jinja nor a reader of packages
    from envbuild.image.docker.context import write_recipe, write_seed_of  # noqa: PLC0415

    with artifacts() as laid_out, workspace() as folder:
        write_recipe(recipe, folder)
        if recipe.seed:
            progress.on_stage("unpacking the essential packages")
        paths = {fetch.sha256: laid_out / fetch.relative_target for fetch in recipe.fetches}
        write_seed_of(recipe, paths.__getitem__, folder)
        context = BuildContext(
            folder=folder, artifacts=laid_out, epoch=recipe.epoch, platform=recipe.platform
        )
        engine.build(context, reference, use_cache=use_cache, progress=progress)
    image = engine.find(reference)
    if image is None or not is_image_of(image, recipe.digest):
        raise BuildFailedError(
            f"the engine built {reference} but does not hold it",
            hint="it may be short of disk space, or another build took the name at the same moment",
        )
    return BuildOutcome(reference, image, built=True)
