"""The composition root: the pure rooms joined to this machine's cache, network and engine."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envbuild.cache.location import cache_folder, vendor_folder
from envbuild.workflows.engines import ENGINES

if TYPE_CHECKING:
    from collections.abc import Collection

    from envbuild.cli.output import Activity
    from envbuild.formats.compression import Compression
    from envbuild.image.docker.build import BuildOutcome
    from envbuild.image.engine import Engine, ImageFacts
    from envbuild.lock.conda import CondaPackage
    from envbuild.lock.model import Lock, Target, Wheel
    from envbuild.render.recipe import Recipe
    from envbuild.store.artifact import Artifact
    from envbuild.store.store import Store
    from envbuild.workflows.engines import EngineName


@dataclass
class Artifacts:
    """The artifacts of one target: where they are, and how they come into the store."""

    lock: "Lock"
    target: "Target"
    offline: bool
    activity: "Activity"

    @cached_property
    def store(self) -> "Store":
        """The store in this user's cache folder."""
        from envbuild.store.store import Store

        return Store(cache_folder())

    @cached_property
    def by_sha256(self) -> dict[str, "Artifact"]:
        """Every artifact of the target."""
        from envbuild.store.locators import ArchiveLocator, ChannelLocator, IndexLocator
        from envbuild.store.plan import artifacts_of

        def open_index() -> Any:
            from envbuild.remote.index.client import PythonIndex

            return PythonIndex.of_this_machine().bound_to(request.pip.indexes)

        def read_settings() -> Any:
            from envbuild.remote import apt as apt_sources

            return apt_sources.read_settings(os.environ)

        def read_channels() -> Any:
            from envbuild.remote.channels import read_channel_configuration

            return read_channel_configuration(os.environ)

        request = self.lock.request.variants[self.target.variant]
        found = artifacts_of(
            self.lock,
            self.target,
            wheels=IndexLocator(open_index),
            debs=ArchiveLocator(read_settings, day=request.snapshot),
            conda=ChannelLocator(read_channels),
        )
        return {artifact.sha256: artifact for artifact in found}

    def fetch(self, artifacts: "Sequence[Artifact]") -> None:
        """Bring ``artifacts`` into the store."""
        from envbuild.store.fetch import fetch_all

        self.activity.on_stage("fetching artifacts")
        fetch_all(
            artifacts,
            store=self.store,
            offline=self.offline,
            vendor=vendor_folder(),
            progress=self.activity,
        )

    def path(self, sha256: str) -> Path:
        """Return the verified file of a digest, fetched when the store lacks it."""
        if not self.store.verify(sha256):
            self.fetch([self.by_sha256[sha256]])
        return self.store.place_of(sha256)

    @contextlib.contextmanager
    def laid_out(self, recipe: "Recipe") -> Iterator[Path]:
        """Yield a folder that holds the recipe's artifacts under the paths of its Dockerfile."""
        from envbuild.store.stage import staged

        files = {fetch.relative_target: self.by_sha256[fetch.sha256] for fetch in recipe.fetches}
        with staged(files, store=self.store, fetch=self.fetch) as folder:
            yield folder


def channel_addresses() -> "Callable[[CondaPackage], str]":
    """Return where conda packages are, as this machine is configured; credentials never."""
    from envbuild.remote.channels import read_channel_configuration

    configuration = read_channel_configuration(os.environ)
    return lambda package: f"{configuration.address(package.channel).url}/{package.path}"


@contextlib.contextmanager
def wheel_addresses(lock: "Lock", variant: str) -> "Iterator[Callable[[Wheel], str]]":
    """Yield where wheels are, as this machine's index says; it is asked when the first one is wanted."""
    from envbuild.store.locators import IndexLocator

    def open_index() -> Any:
        from envbuild.remote.index.client import PythonIndex

        return PythonIndex.of_this_machine().bound_to(lock.request.variants[variant].pip.indexes)

    locator = IndexLocator(open_index)
    try:
        yield lambda wheel: next(iter(locator.locate(wheel))).url
    finally:
        locator.close()


def recipe_of(lock: "Lock", target: "Target") -> "Recipe":
    """Return the recipe of a target, with this release's probe."""
    from envbuild.render.recipe import render_recipe
    from envbuild.verify.probe_bundle import build_probe

    return render_recipe(lock, target, probe=build_probe())


def find_image(
    lock: "Lock", target: "Target", engine: "Engine", *, made_by: "Collection[str]"
) -> "tuple[str, ImageFacts | None]":
    """Return the reference of a target's image, and what the engine says of it when it holds that image."""
    from envbuild.image.docker.build import is_image_of
    from envbuild.image.identity import image_reference_for
    from envbuild.lock.identity import target_digest

    reference = image_reference_for(lock, target)
    found = engine.find(reference)
    held = found is not None and is_image_of(found, target_digest(lock, target), engines=made_by)
    return reference, found if held else None


def build_target(
    lock: "Lock",
    target: "Target",
    *,
    engine: "EngineName",
    made_by: "Collection[str] | None" = None,
    use_cache: bool,
    offline: bool,
    activity: "Activity",
    compression: "Compression" = "zstd",
) -> "BuildOutcome":
    """Return the image of a target, built when ``engine`` does not hold it or nothing may be reused.

    ``made_by`` names the engines whose image will do; by default it is ``engine`` alone.
    """
    if engine == "local":
        from envbuild.workflows.local import build_locally

        return build_locally(
            lock, target, use_cache=use_cache, offline=offline, activity=activity, compression=compression
        )
    from envbuild.image.docker.build import BuildOutcome, build_image
    from envbuild.image.docker.engine import DockerEngine
    from envbuild.store.stage import workspace

    docker = DockerEngine()
    reference, found = find_image(lock, target, docker, made_by=made_by or (engine,))
    if found is not None and use_cache:
        return BuildOutcome(reference, found, built=False)
    artifacts = Artifacts(lock, target, offline, activity)
    recipe = recipe_of(lock, target)
    return build_image(
        recipe,
        reference,
        engine=docker,
        artifacts=lambda: artifacts.laid_out(recipe),
        workspace=lambda: workspace(artifacts.store),
        use_cache=use_cache,
        progress=activity,
    )


def pull_image(lock: "Lock", target: "Target", *, activity: "Activity") -> None:
    """Bring a target's image into the docker engine from its registry, if that has it and this lacks it."""
    from envbuild.image.docker.engine import DockerEngine

    docker = DockerEngine()
    reference, found = find_image(lock, target, docker, made_by=ENGINES)
    if found is None and lock.request.repository:
        activity.on_stage(f"asking the registry for {reference}")
        docker.pull(reference, progress=activity)


def push_image(outcome: "BuildOutcome", *, engine: "EngineName", offline: bool, activity: "Activity") -> str:
    """Push the image of ``outcome`` unless the registry has it, and return its digest there."""
    if engine == "local":
        from envbuild.workflows.local import push_locally

        return push_locally(outcome, offline=offline, activity=activity)
    from envbuild.image.docker.engine import DockerEngine
    from envbuild.image.push import push_once

    activity.on_stage(f"pushing {outcome.reference}")
    return push_once(DockerEngine(), outcome.reference, outcome.image, progress=activity)


def write_folder(
    lock: "Lock", target: "Target", recipe: "Recipe", folder: Path, *, offline: bool, activity: "Activity"
) -> tuple[str, ...]:
    """Write the folder of a recipe, seed included, and return the command that builds it without envbuild."""
    from envbuild.image.docker.context import write_recipe, write_seed_of
    from envbuild.image.identity import image_reference_for

    write_recipe(recipe, folder)
    artifacts = Artifacts(lock, target, offline, activity)
    if recipe.seed:
        seed_files = {deb.sha256 for deb in recipe.seed}
        artifacts.fetch([artifacts.by_sha256[sha256] for sha256 in sorted(seed_files)])
        write_seed_of(recipe, artifacts.path, folder)
    addresses = _addresses(recipe, artifacts, offline=offline)
    return (
        "docker", "buildx", "build",
        "--platform", recipe.platform,
        "--build-arg", f"SOURCE_DATE_EPOCH={recipe.epoch}",
        *(word for name, url in sorted(addresses.items()) for word in ("--build-arg", f"{name}={url}")),
        "--provenance=false", "--tag", image_reference_for(lock, target), str(folder),
    )  # fmt: skip


def _addresses(recipe: "Recipe", artifacts: Artifacts, *, offline: bool) -> dict[str, str]:
    """Return an address for each build argument, as this machine is configured; credentials never."""
    found: dict[str, str] = {}
    for fetch in recipe.fetches:
        if fetch.argument in found:
            continue
        found[fetch.argument] = "https://…"
        if not offline:
            for address in artifacts.by_sha256[fetch.sha256].locate():
                if str(address).endswith(f"/{fetch.path}"):
                    found[fetch.argument] = str(address).removesuffix(f"/{fetch.path}")
                    break
    return found
