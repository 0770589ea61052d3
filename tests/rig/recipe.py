"""The scripts of the recipe, laid into a folder as a build has them."""

from pathlib import Path

from envbuild.render.recipe import recipe_scripts


def lay_scripts(folder: Path) -> Path:
    """Write the scripts and return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in recipe_scripts().items():
        (folder / name).write_bytes(content)
    return folder
