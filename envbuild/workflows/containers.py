"""What is done in containers, by either engine: verifying an image, and running commands in it."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.workflows.artifacts import Artifacts

if TYPE_CHECKING:
    from envbuild.cli.output import Activity
    from envbuild.image.docker.build import BuildOutcome
    from envbuild.image.engine import GpuEngine
    from envbuild.image.gpus import GpuAccess
    from envbuild.lock.model import Lock, Target
    from envbuild.verify.checks.expected_files import ExpectedFiles
    from envbuild.verify.checks.report import Profile, Report
    from envbuild.verify.checks.target import LockedTarget
    from envbuild.workflows.engines import EngineName


def open_engine(name: "EngineName", gpus: "GpuAccess | None", *, offline: bool) -> "GpuEngine":
    """Return the engine called ``name``, whose containers get ``gpus``; it is not spoken to yet.

    :raises UsageError: GPUs are demanded of the local engine.
    """
    if name == "local":
        from envbuild.workflows.local import open_local_engine

        return open_local_engine(gpus, offline=offline)
    from envbuild.image.docker.engine import DockerEngine

    return DockerEngine(gpus=gpus)


def verify_target(
    lock: "Lock",
    target: "Target",
    *,
    engine: "EngineName",
    image: str | None,
    deep: bool,
    gpus: str = "auto",
    require_gpu: bool = False,
    profile: "Profile",
    offline: bool,
    activity: "Activity",
) -> "tuple[str, Report]":
    """Compare an image, or the target's own, with the target.

    :raises EngineError: the engine does not hold the image.
    """
    from envbuild.errors import EngineError
    from envbuild.image.identity import image_reference_for
    from envbuild.lock.identity import project_target, target_digest
    from envbuild.verify.image import verify_image

    holder = open_engine(engine, _gpu_access(target, gpus), offline=offline)
    reference = image or image_reference_for(lock, target)
    activity.on_stage(f"asking {reference}")
    facts = holder.find(reference)
    if facts is None:
        hint = "pull it, or check its name" if image else "run `envbuild build`"
        name = "the engine" if engine == "docker" else "the local engine"
        raise EngineError(f"{name} has no image {reference}", hint=hint)
    artifacts = Artifacts(lock, target, offline, activity)
    report = verify_image(
        holder,
        facts,
        project_target(lock, target),
        digest=target_digest(lock, target),
        profile=profile,
        expected=_expected(artifacts) if deep else None,
        require_gpu=require_gpu,
    )
    return reference, report


def verify_machine(lock: "Lock", target: "Target", *, require_gpu: bool) -> "Report":
    """Compare this machine with what the target needs of one."""
    from envbuild.lock.identity import project_target
    from envbuild.verify.host import verify_host

    return verify_host(project_target(lock, target), require_gpu=require_gpu)


def _gpu_access(target: "Target", gpus: str) -> "GpuAccess | None":
    """Return what ``--gpus`` asks for; an environment for CPUs gets GPUs only when they are named."""
    from envbuild.image.gpus import AUTO, parse_gpus

    access = parse_gpus(gpus, vendor=target.gpu.vendor if target.gpu else "nvidia")
    return None if target.gpu is None and gpus == AUTO else access


def _expected(artifacts: Artifacts) -> "Callable[[LockedTarget], ExpectedFiles]":
    from envbuild.verify.expected import TreeCache, expected_files, missing_trees

    cache = TreeCache(artifacts.store.folder / "trees")

    def expected(locked: "LockedTarget") -> "ExpectedFiles":
        names = set(missing_trees(locked, cache))
        artifacts.fetch([item for item in artifacts.by_sha256.values() if item.filename in names])
        artifacts.activity.on_stage("comparing files with the locked artifacts")
        return expected_files(locked, artifact=artifacts.path, cache=cache)

    return expected


def run_in_image(
    outcome: "BuildOutcome",
    target: "Target",
    command: Sequence[str],
    *,
    engine: "EngineName",
    copies: tuple[Path, ...],
    env: dict[str, str],
    gpus: str = "auto",
    offline: bool,
) -> int:
    """Run ``command`` in an image on this terminal's streams and return its exit status."""
    from envbuild.image.docker.copy_in import tar_of

    archive = tar_of(copies, uid=target.user.uid, gid=target.user.gid) if copies else None
    sys.stdout.flush()
    return open_engine(engine, _gpu_access(target, gpus), offline=offline).run_attached(
        outcome.reference,
        command,
        archive=archive,
        workdir=target.workdir,
        env=env,
        interactive=not sys.stdin.closed and not sys.stdin.isatty(),
    )
