"""`envbuild build --check` for the docker engine: what one engine can promise of its own builds."""

from typing import TYPE_CHECKING, Final

from envbuild.workflows.check import Checked, differing

if TYPE_CHECKING:
    from envbuild.cli.output import Activity
    from envbuild.image.docker.build import BuildOutcome
    from envbuild.lock.model import Lock, Target

NOTES: Final = (
    "the engine's clock, and the order it works in, are its own and were not varied",
    "another version of the engine may give another digest for the same files; --engine local gives the same",
)


def check_docker(
    lock: "Lock", target: "Target", outcome: "BuildOutcome", *, offline: bool, activity: "Activity"
) -> Checked:
    """Build the image of ``outcome`` again without the engine's cache and compare the two.

    :raises VerificationError: it came out otherwise.
    """
    from envbuild.image.docker.build import build_image
    from envbuild.image.docker.engine import DockerEngine
    from envbuild.image.docker.saved import read_saved
    from envbuild.oci.compare import compare_images
    from envbuild.store.stage import workspace
    from envbuild.workflows.artifacts import Artifacts, recipe_of

    docker = DockerEngine()
    recipe = recipe_of(lock, target)
    artifacts = Artifacts(lock, target, offline, activity)
    again = f"{outcome.reference}-again"
    try:
        activity.on_stage("building again, without cache")
        second = build_image(
            recipe,
            again,
            engine=docker,
            artifacts=lambda: artifacts.laid_out(recipe),
            workspace=lambda: workspace(artifacts.store),
            use_cache=False,
            progress=activity,
        )
        if second.image.identifier != outcome.image.identifier:
            activity.on_stage("comparing the two images")
            with workspace(artifacts.store) as folder:
                one = read_saved(docker.save(outcome.reference), folder / "one")
                other = read_saved(docker.save(again), folder / "other")
                found = compare_images(one.image, other.image, read_one=one.chunks, read_other=other.chunks)
            raise differing(outcome, found)
    finally:
        docker.remove(again)
    return Checked(varied=("run of every step, and from another folder",), notes=NOTES)
