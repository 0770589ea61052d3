"""`envbuild verify`: an image, or this machine, compared with a lock."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from envbuild.errors import EngineError, UsageError, VerificationError
from envbuild.workflows.engines import ENGINES, EngineName, engine_of, require_privileges_for
from envbuild.workflows.html import table
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import refuse_other
from envbuild.workflows.project import Project, choose_target, fresh_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from envbuild.image.engine import Engine, ImageFacts
    from envbuild.image.gpus import GpuAccess
    from envbuild.lock.model import Lock, Target
    from envbuild.store.target_artifacts import TargetArtifacts
    from envbuild.verify.checks.expected_files import ExpectedFiles
    from envbuild.verify.checks.report import CheckResult, Report
    from envbuild.verify.checks.target import LockedTarget
    from envbuild.workflows.many import ProjectResult

Profile = Literal["image", "devcontainer"]

THIS_MACHINE: Final = "this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """Options of a verification.

    :raises UsageError: they contradict each other, or a field has a value that it cannot have.
    """

    image: str | None = None
    """Reference of another image than the lock's own."""

    deep: bool = False
    """Compare every file and all bytecode with the locked artifacts."""

    host: bool = False
    """Verify this machine, without a container: processor, driver and GPUs."""

    gpus: str = "auto"
    """GPUs for the container: ``auto``, ``all``, ``none``, a number, ``device=0,1``."""

    require_gpu: bool = False
    """A missing GPU is a difference; else its checks are skipped."""

    profile: Profile = "image"
    """How strict: a dev container may hold more than the lock."""

    variant: str | None = None
    platform: str | None = None
    engine: EngineName | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        refuse_other("engine", self.engine, ENGINES)
        refuse_other("profile", self.profile, get_args(Profile))
        if self.host and (self.image or self.deep):
            raise UsageError("--host takes no image and no --deep", hint="there is no container to look into")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """A report, and what it is about."""

    subject: str
    """Reference of the image, or ``this machine``."""

    report: "Report"

    @property
    def succeeded(self) -> bool:
        """Whether nothing differs."""
        return self.report.succeeded

    @property
    def verdict(self) -> str:
        """One line, with the counts."""
        from envbuild.verify.checks.report import Outcome

        if self.subject == THIS_MACHINE:
            asked = not any(self.report.with_outcome("skipped"))
            able = "can run the lock" if asked else "may run the lock, not everything could be asked"
            said = able if self.succeeded else "cannot run the lock"
        else:
            said = "matches its lock" if self.succeeded else "differs from its lock"
        counted = Counter(result.outcome for result in self.report.results)
        outcomes: tuple[Outcome, ...] = get_args(Outcome)
        counts = ", ".join(f"{counted[outcome]} {outcome}" for outcome in outcomes if counted[outcome])
        return f"{self.subject} {said}: {counts}"

    def document(self) -> dict[str, Any]:
        """Return the whole report as JSON values."""
        from envbuild.verify.checks.report_text import report_document

        return report_document(self.report) | {"image": self.subject}

    def write_junit(self, path: Path | str) -> None:
        """Write the report to ``path`` as a JUnit document."""
        from envbuild.files import atomic
        from envbuild.verify.junit import render_junit

        atomic.write_text(Path(path), render_junit(self.report))

    def _repr_html_(self) -> str:
        """Return the results that did not pass as an HTML table, for notebooks."""
        rows = [
            (result.outcome, result.group, result.difference)
            for result in self.report.results
            if result.outcome != "passed"
        ]
        return table(self.verdict, ("result", "group", "difference"), rows)


def verify_image(
    project: Project, options: VerifyOptions | None = None, *, machine: Machine | None = None
) -> VerifyResult:
    """Compare an image with a project's lock; with ``host``, this machine.

    :raises LockError: there is no lock, or it is out of date with the spec.
    :raises EngineError: the engine does not hold the image, or does not answer.
    :raises VerificationError: the probe did not answer, or the image is in an older recipe format.
    """
    options, machine = options or VerifyOptions(), machine or Machine()
    lock = fresh_lock(project, frozen=options.frozen)
    target = choose_target(lock, variant=options.variant, platform=options.platform)
    if options.require_gpu and target.gpu is None:
        raise UsageError(
            f"--require-gpu, but variant `{target.variant}` locks no GPU",
            hint="ask for another --variant, or give the spec a [gpu] table",
        )
    if options.host:
        return _verify_host(lock, target, options, machine)
    gpus = gpu_access(target, options.gpus)
    with closing(engine_of(project, options.engine, machine, gpus=gpus)) as engine:
        engine.require_privileges(machine.restart_as_root)
        return _verify_with(engine, lock, target, options, machine)


def verify_images(
    projects: "Sequence[Project]", options: VerifyOptions | None = None, *, machine: Machine | None = None
) -> "tuple[ProjectResult[VerifyResult], ...]":
    """Verify the images of several projects side by side; a difference is the error of its project.

    :raises UsageError: ``options`` name one image.

    :raises EngineError: this machine and user allow no such engine.
    """
    from envbuild.workflows.many import for_each_project

    options, machine = options or VerifyOptions(), machine or Machine()
    if options.image is not None:
        raise UsageError("--all verifies the images of all locks: it takes no image")
    if not options.host:
        require_privileges_for(projects, options.engine, machine)
    return for_each_project(
        projects,
        lambda project, own: verify_image(project, options, machine=own),
        machine=machine,
        error_of=_error_of,
    )


def _error_of(result: VerifyResult) -> VerificationError | None:
    if result.succeeded:
        return None
    lines = [result_line(item) for item in result.report.results if item.outcome == "failed"]
    return VerificationError(result.verdict, detail="\n".join(lines))


def gpu_access(target: "Target", gpus: str) -> "GpuAccess | None":
    """Return what ``--gpus`` asks for; an environment for CPUs gets GPUs only when they are named.

    :raises UsageError: ``gpus`` is not understood.
    """
    from envbuild.image.gpus import AUTO, parse_gpus

    access = parse_gpus(gpus, vendor=target.gpu.vendor if target.gpu else "nvidia")
    return None if target.gpu is None and gpus == AUTO else access


def result_line(result: "CheckResult", *, verbose: bool = False) -> str:
    """Return a result on one line, with its reason where the difference alone does not tell enough."""
    text = result.title if result.outcome == "skipped" else result.difference
    unclear = result.outcome == "skipped" or result.group == "gpu"
    explained = result.outcome != "passed" and (unclear or verbose)
    return f"{text}: {result.reason}" if result.reason and explained else text


def _verify_host(lock: "Lock", target: "Target", options: VerifyOptions, machine: Machine) -> VerifyResult:
    from envbuild.lock.identity import project_target
    from envbuild.verify.host import verify_host

    projection = project_target(lock, target)
    report = verify_host(projection, require_gpu=options.require_gpu, environment=machine.environment)
    return VerifyResult(subject=THIS_MACHINE, report=report)


def _verify_with(
    engine: "Engine", lock: "Lock", target: "Target", options: VerifyOptions, machine: Machine
) -> VerifyResult:
    from envbuild.image.built_image import image_reference_for
    from envbuild.lock.identity import project_target, target_digest
    from envbuild.verify.image import verify_image as compare

    reference = options.image or image_reference_for(lock, target)
    machine.progress.on_stage(f"asking {reference}")
    facts = engine.find(reference)
    if facts is None:
        raise _no_image(engine, lock, target, reference, named=options.image is not None)
    _refuse_earlier_format(reference, facts)
    report = compare(
        engine,
        facts,
        project_target(lock, target),
        digest=target_digest(lock, target),
        profile=options.profile,
        expected=_expected(machine.artifacts(lock, target)) if options.deep else None,
        require_gpu=options.require_gpu,
    )
    return VerifyResult(subject=reference, report=report)


def _no_image(
    engine: "Engine", lock: "Lock", target: "Target", reference: str, *, named: bool
) -> EngineError:
    """Return the error of an image the engine does not hold."""
    from envbuild.image.built_image import earlier_images

    if named:
        return EngineError(f"{engine.title} has no image {reference}", hint="pull it, or check its name")
    earlier = next(earlier_images(lock, target, engine), None)
    if earlier is not None:
        return EngineError(
            f"{engine.title} has no image {reference}: {earlier.reference} is in an older recipe format",
            hint="an earlier release of envbuild built it; rebuild it with `envbuild build`",
        )
    return EngineError(f"{engine.title} has no image {reference}", hint="run `envbuild build`")


def _refuse_earlier_format(reference: str, facts: "ImageFacts") -> None:
    from envbuild.image.built_image import earlier_format
    from envbuild.lock.identity import RECIPE_FORMAT

    number = earlier_format(facts)
    if number is not None:
        raise VerificationError(
            f"{reference} is in the older recipe format {number}; this release verifies {RECIPE_FORMAT}",
            hint="an earlier release of envbuild built it; rebuild it with `envbuild build`",
        )


def _expected(artifacts: "TargetArtifacts") -> "Callable[[LockedTarget], ExpectedFiles]":
    from envbuild.cache.folders import TREES
    from envbuild.verify.expected import TreeCache, expected_files, missing_trees

    cache = TreeCache(TREES.path(artifacts.store.folder))

    def expected(locked: "LockedTarget") -> "ExpectedFiles":
        # what is fetched to be read stays until it is read
        with artifacts.store.use():
            names = set(missing_trees(locked, cache))
            artifacts.fetch([item for item in artifacts.by_sha256.values() if item.filename in names])
            artifacts.progress.on_stage("comparing files with the locked artifacts")
            return expected_files(locked, artifact=artifacts.path, cache=cache)

    return expected
