"""Builds on a Docker Engine: the recipe of a target goes through ``docker buildx build``.

Docker's SDK speaks the classic builder, which knows no mounts (docker/docker-py#2230); so the build itself
is a process.  The engine may be remote: the context is sent to it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from envbuild import process
from envbuild.errors import BuildFailedError
from envbuild.image.docker.buildkit import BuildLog, files_below
from envbuild.image.docker.connection import no_client
from envbuild.image.docker.recipe_folder import write_recipe, write_seed_of
from envbuild.image.engine import BuildRequest
from envbuild.progress import Progress
from envbuild.render.recipe import Recipe, render_recipe
from envbuild.store.stage import workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """A recipe laid out on disk, ready to be built."""

    folder: Path
    """Holds the Dockerfile and what it binds."""

    artifacts: Path
    """Holds the verified artifacts under the paths the Dockerfile gives them."""

    epoch: int
    platform: str


@contextmanager
def build_context(request: BuildRequest, progress: Progress) -> Iterator[BuildContext]:
    """Yield the recipe of a target with its verified artifacts, laid out on disk until the block ends."""
    recipe = render_recipe(request.lock, request.target, probe=request.probe())
    artifacts = request.artifacts
    files = {fetch.relative_target: fetch.sha256 for fetch in recipe.fetches}
    with artifacts.laid_out(files) as laid_out, workspace(artifacts.store) as folder:
        write_recipe(recipe, folder)
        _write_seed(recipe, laid_out, folder, progress)
        yield BuildContext(folder=folder, artifacts=laid_out, epoch=recipe.epoch, platform=recipe.platform)


def build_with_buildx(
    context: BuildContext,
    reference: str,
    *,
    environment: Mapping[str, str],
    use_cache: bool,
    progress: Progress,
) -> None:
    """Build ``context`` with BuildKit and load it into the engine as ``reference``.

    :raises EngineError: there is no docker client.
    :raises BuildFailedError: a step failed; its last lines are the detail.
    """
    log = BuildLog(progress.on_stage, files_in=files_below(context.artifacts))
    arguments = [
        "docker", "buildx", "build",
        "--progress=rawjson",
        "--platform", context.platform,
        "--build-arg", f"SOURCE_DATE_EPOCH={context.epoch}",
        "--build-context", f"artifacts={context.artifacts}",
        # attestations carry the time of the build, and would change the digest of an unchanged image
        "--provenance=false", "--sbom=false",
        "--network=none",
        "--load",
        "--tag", reference,
        *(() if use_cache else ("--no-cache",)),
        str(context.folder),
    ]  # fmt: skip
    environment = {**environment, "SOURCE_DATE_EPOCH": str(context.epoch)}
    try:
        result = process.run(arguments, environment=environment, on_stderr_line=log.feed)
    except process.ProgramMissingError as error:
        raise no_client() from error
    if not result.succeeded:
        step = log.failed_step
        raise BuildFailedError(
            f"the build failed at: {step}" if step else "the build failed",
            detail=log.evidence(),
            hint="the folder `envbuild render -o DIR` writes can be built by hand with the same result",
        )


def _write_seed(recipe: Recipe, laid_out: Path, folder: Path, progress: Progress) -> None:
    if recipe.seed:
        progress.on_stage("unpacking the essential packages")
    paths = {fetch.sha256: laid_out / fetch.relative_target for fetch in recipe.fetches}
    write_seed_of(recipe, paths.__getitem__, folder)
