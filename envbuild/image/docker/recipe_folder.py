"""A recipe laid out on disk: its files, the verified artifacts under their paths, and the seed."""

from collections.abc import Callable
from pathlib import Path

from envbuild.files import atomic
from envbuild.formats.deb_seed import write_seed
from envbuild.render.recipe import SEED, Recipe


def write_recipe(recipe: Recipe, folder: Path) -> None:
    """Write the files of ``recipe`` under ``folder``, modes fixed; unchanged files are left alone."""
    for name, content in recipe.files.items():
        atomic.write_bytes(folder / name, content)


def write_built_wheels(recipe: Recipe, artifact: Callable[[str], Path], folder: Path) -> None:
    """Write the wheels that are built from source into ``folder``: no plain build could fetch them.

    ``artifact`` gives the verified file of a sha256.
    """
    for fetch in recipe.fetches:
        if fetch.is_built:
            atomic.write_bytes(folder / fetch.path, artifact(fetch.sha256).read_bytes())


def write_seed_of(recipe: Recipe, artifact: Callable[[str], Path], folder: Path) -> None:
    """Write the seed of a bootstrapped base into ``folder``; nothing for an image base.

    ``artifact`` gives the verified file of a sha256.
    """
    if recipe.seed:
        write_seed((artifact(deb.sha256) for deb in recipe.seed), folder / SEED, epoch=recipe.base_epoch)
