"""`envbuild verify`: an image, or this machine, compared with a lock."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from envbuild.errors import EnvbuildError, UsageError, VerificationError
from envbuild.workflows.engines import engine_of, require_privileges_for
from envbuild.workflows.html import table
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, choose_target, fresh_lock
from envbuild.workflows.verification.image import ImageVerification
from envbuild.workflows.verification.options import VerifyOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envbuild.image.gpus import GpuAccess
    from envbuild.lock.model import Lock, Target
    from envbuild.verify.checks.report import CheckResult, Report
    from envbuild.workflows.many import ProjectResult

__all__ = [
    "VerifyOptions",
    "VerifyResult",
    "gpu_access",
    "result_line",
    "verify_image",
    "verify_images",
    "write_junit_of_specs",
]

THIS_MACHINE: Final = "this machine"

MOST_UNCOVERED: Final = 10
"""Paths that are named when nobody asked for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """A report, and what it is about."""

    subject: str
    """Name of the image, or ``this machine``."""

    report: "Report"

    @property
    def succeeded(self) -> bool:
        """Whether nothing differs."""
        return self.report.succeeded

    @property
    def is_image(self) -> bool:
        """Whether the report is about an image, and not about this machine."""
        return self.subject != THIS_MACHINE

    @property
    def verdict(self) -> str:
        """One line: what was found, how it is known, and what would prove more."""
        from envbuild.verify.checks.report import Outcome

        counted = Counter(result.outcome for result in self.report.results)
        outcomes: tuple[Outcome, ...] = get_args(Outcome)
        counts = ", ".join(f"{counted[outcome]} {outcome}" for outcome in outcomes if counted[outcome])
        return f"{self.subject} {self._said}: {counts}{self._ground}"

    @property
    def _said(self) -> str:
        if self.subject == THIS_MACHINE:
            asked = not any(self.report.with_outcome("skipped"))
            able = "can run the lock" if asked else "may run the lock, not everything could be asked"
            return able if self.succeeded else "cannot run the lock"
        if not self.succeeded:
            return "differs from its lock"
        if self.report.proof is not None:
            return f"is exactly what its lock makes, by {self.report.proof}"
        if self.report.coverage is not None and not self.report.complete:
            return "matches its lock as far as it could be compared"
        return "matches its lock"

    @property
    def _ground(self) -> str:
        """What the verdict rests on."""
        coverage = self.report.coverage
        if self.subject == THIS_MACHINE:
            return ""
        told = sum(result.evidence == "told" for result in self.report.results)
        if coverage is None:
            # what an image says of its files is no proof
            return f"; {told} told by the image itself: --deep compares its files from outside"
        ground = f"; {told} of them told by the image" if told else ""
        if coverage.uncovered:
            share = f"{coverage.uncovered:,} of {coverage.paths:,} paths not covered"
            ground += f"; incomplete: {share} ({coverage.reason})"
        elif not self.report.complete:
            ground += "; incomplete: a part of the configuration was not compared"
        return ground

    def coverage_lines(self, *, verbose: bool = False) -> list[str]:
        """Return what was read and how much of it was compared, and what was not."""
        report, coverage = self.report, self.report.coverage
        if coverage is None:
            return []
        most = coverage.uncovered if verbose else MOST_UNCOVERED
        lines = [f"{report.digest} in {report.source}", coverage.line]
        lines += [f"not covered: {path}" for path in coverage.not_covered[:most]]
        if coverage.uncovered > most:
            lines.append(
                f"… and {coverage.uncovered - most:,} more not covered: --verbose or --json shows all"
            )
        return lines

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
    :raises UsageError: the options fit neither the lock nor the image.
    :raises EngineError: the engine does not hold the image, or does not answer.
    :raises VerificationError: the image cannot be read, does not answer, or is in an older format.
    :raises NetworkError: a registry or an index is out of reach.
    :raises IntegrityError: an artifact, or a layer of the image, is not what its digest says.
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
    if options.image is not None and _is_source(options.image):
        return _with_data(_verify_source(lock, target, options, machine), project, lock, machine)
    with closing(engine_of(project, options.engine, machine, gpus=gpus)) as engine:
        engine.require_privileges(machine.restart_as_root)
        subject, report = ImageVerification(lock, target, options, machine).with_engine(engine)
    return _with_data(VerifyResult(subject=subject, report=report), project, lock, machine)


def _with_data(result: VerifyResult, project: Project, lock: "Lock", machine: Machine) -> VerifyResult:
    """Return the result with the project's data as a group of checks: no image holds it."""
    if not lock.data:
        return result
    from envbuild.workflows.data.checks import data_checks

    results = (*result.report.results, *data_checks(project, lock, machine))
    return replace(result, report=replace(result.report, results=results))


def _is_source(image: str) -> bool:
    from envbuild.image.stored.sources import is_source

    return is_source(image)


def _verify_source(lock: "Lock", target: "Target", options: VerifyOptions, machine: Machine) -> VerifyResult:
    """Verify an image outside engines, which can only be read."""
    if not (options.deep or options.exact):
        raise UsageError(
            f"{options.image} is not in an engine, so it cannot be run, only read",
            hint="add --deep or --exact, or load it into an engine first",
        )
    subject, report = ImageVerification(lock, target, options, machine).from_outside(str(options.image))
    return VerifyResult(subject=subject, report=report)


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


def write_junit_of_specs(path: Path | str, results: "Sequence[ProjectResult[VerifyResult]]") -> None:
    """Write what :func:`verify_images` gave to ``path`` as one JUnit document, with a suite for each spec.

    A spec that could not be verified, as its image or its lock is missing, is a suite with an error.
    """
    from envbuild.files import atomic
    from envbuild.verify.junit import render_junit_of_specs

    outcomes: list[tuple[str, Report | EnvbuildError]] = []
    for result in results:
        found = result.value.report if result.value is not None else result.error
        if found is not None:
            outcomes.append((result.project.label, found))
    atomic.write_text(Path(path), render_junit_of_specs(outcomes))


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


def result_line(result: "CheckResult", *, verbose: bool = False, marked: bool = False) -> str:
    """Return a result on one line, with its reason where the difference alone does not tell enough.

    With ``marked`` a difference that the image itself told says so.
    """
    text = result.title if result.outcome == "skipped" else result.difference
    unclear = result.outcome == "skipped" or result.group == "gpu"
    explained = result.outcome != "passed" and (unclear or verbose)
    line = f"{text}: {result.reason}" if result.reason and explained else text
    told = result.evidence == "told" and result.outcome in {"failed", "warned"}
    return f"{line} (told by the image)" if told and marked else line


def _verify_host(lock: "Lock", target: "Target", options: VerifyOptions, machine: Machine) -> VerifyResult:
    from envbuild.lock.identity import project_target
    from envbuild.verify.host import verify_host

    projection = project_target(lock, target)
    report = verify_host(projection, require_gpu=options.require_gpu, environment=machine.environment)
    return VerifyResult(subject=THIS_MACHINE, report=report)
