"""`envbuild render`: the recipe of a target, and the folder that plain docker builds it from."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, choose_target, fresh_lock
from envbuild.workflows.sources.wheels import target_artifacts

if TYPE_CHECKING:
    from envbuild.lock.model import Lock, Target
    from envbuild.render.recipe import Recipe
    from envbuild.store.target_artifacts import TargetArtifacts


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """Options of rendering a recipe."""

    variant: str | None = None
    platform: str | None = None
    frozen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRecipe:
    """A folder that plain docker builds the image of a target from."""

    folder: Path
    command: tuple[str, ...]
    """The command that builds it, without envbuild."""

    recipe: "Recipe"
    reference: str
    """Name of the image."""

    def document(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {"folder": str(self.folder), "command": list(self.command), "target": self.recipe.digest}


def render_recipe(project: Project, options: RenderOptions | None = None) -> "Recipe":
    """Return the recipe of a project's target: its Dockerfile and the files that it binds.

    :raises LockError: there is no lock, or it is out of date with the spec.
    """
    return render_target(*_target_of(project, options or RenderOptions()))


def write_recipe_folder(
    project: Project,
    folder: Path,
    options: RenderOptions | None = None,
    *,
    machine: Machine | None = None,
) -> WrittenRecipe:
    """Write the folder of a project's recipe, seed included.

    :raises LockError: there is no lock, or it is out of date with the spec.
    :raises NetworkError: a package of the seed cannot be had.
    """
    lock, target = _target_of(project, options or RenderOptions())
    return write_target_folder(lock, target, folder, machine=machine or Machine())


def render_target(lock: "Lock", target: "Target") -> "Recipe":
    """Return the recipe of one target, with this release's probe."""
    from envbuild.render.recipe import render_recipe as render
    from envbuild.verify.probe_bundle import build_probe

    return render(lock, target, probe=build_probe())


def write_target_folder(lock: "Lock", target: "Target", folder: Path, *, machine: Machine) -> WrittenRecipe:
    """Write the folder of one target's recipe, seed included.

    :raises NetworkError: a package of the seed cannot be had.
    """
    from envbuild.image.built_image import image_reference_for
    from envbuild.image.docker.recipe_folder import write_built_wheels, write_recipe, write_seed_of

    recipe = render_target(lock, target)
    write_recipe(recipe, folder)
    artifacts = target_artifacts(lock, target, machine)
    write_built_wheels(recipe, artifacts.path, folder)
    if recipe.seed:
        seed_files = {deb.sha256 for deb in recipe.seed}
        artifacts.fetch([artifacts.by_sha256[sha256] for sha256 in sorted(seed_files)])
        write_seed_of(recipe, artifacts.path, folder)
    addresses = _addresses(recipe, artifacts)
    reference = image_reference_for(lock, target)
    command = (
        "docker", "buildx", "build",
        "--platform", recipe.platform,
        "--build-arg", f"SOURCE_DATE_EPOCH={recipe.epoch}",
        *(word for name, url in sorted(addresses.items()) for word in ("--build-arg", f"{name}={url}")),
        "--provenance=false", "--tag", reference, str(folder),
    )  # fmt: skip
    return WrittenRecipe(folder=folder, command=command, recipe=recipe, reference=reference)


def _target_of(project: Project, options: RenderOptions) -> "tuple[Lock, Target]":
    lock = fresh_lock(project, frozen=options.frozen)
    return lock, choose_target(lock, variant=options.variant, platform=options.platform)


def _addresses(recipe: "Recipe", artifacts: "TargetArtifacts") -> dict[str, str]:
    """Return an address for each build argument, as this machine is configured; credentials never."""
    found: dict[str, str] = {}
    for fetch in recipe.fetches:
        if fetch.argument is None or fetch.argument in found:
            continue
        found[fetch.argument] = "https://…"
        if not artifacts.offline:
            for address in artifacts.by_sha256[fetch.sha256].locate():
                if str(address).endswith(f"/{fetch.path}"):
                    found[fetch.argument] = str(address).removesuffix(f"/{fetch.path}")
                    break
    return found
