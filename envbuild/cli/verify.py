"""`envbuild verify`."""

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from envbuild.cli.options import (
    AllSpecs,
    AsJson,
    Frozen,
    Gpus,
    Offline,
    PlatformOption,
    Quiet,
    SpecPath,
    Variant,
    Verbose,
)
from envbuild.workflows.engines import EngineOption

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from envbuild.cli.output import Activity, Output
    from envbuild.verify.checks.report import CheckResult, Outcome, Report
    from envbuild.workflows.engines import EngineName
    from envbuild.workflows.project import Project

SELF = Path("/etc/envbuild")
"""Where an image carries its target's lock and its probe."""

THIS_MACHINE = "this machine"

MARKS: "dict[Outcome, str]" = {
    "passed": "ok",
    "failed": "DIFFERS",
    "warned": "warning",
    "skipped": "skipped",
}


def verify(
    *,
    image: Annotated[
        str | None,
        typer.Argument(help="Image to verify.  [default: the one of the lock]", show_default=False),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Compare every file and all bytecode with the locked artifacts.")
    ] = False,
    here: Annotated[
        bool, typer.Option("--here", help="Verify the container this runs in with the lock it carries.")
    ] = False,
    host: Annotated[
        bool,
        typer.Option("--host", help="Verify this machine: processor, driver and GPUs, without a container."),
    ] = False,
    gpus: Gpus = "auto",
    require_gpu: Annotated[
        bool,
        typer.Option("--require-gpu", help="Fail when there is no GPU, in place of skipping its checks."),
    ] = False,
    profile: Annotated[
        Literal["image", "devcontainer"],
        typer.Option("--profile", help="How strict: a devcontainer may hold more than the lock."),
    ] = "image",
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write a JUnit report to this file too.")
    ] = None,
    spec: SpecPath = None,
    every: AllSpecs = False,
    variant: Variant = None,
    platform: PlatformOption = None,
    engine: EngineOption = None,
    frozen: Frozen = False,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Ask an image what it holds.

    Compares the answer with the lock; exits with 8 when they differ.
    """
    from envbuild.cli.output import Output
    from envbuild.errors import ExitCode, UsageError

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    if here:
        if image or deep or junit or every:
            raise UsageError(
                "--here takes no image, --all, --deep or --junit", hint="they need the artifacts outside"
            )
        if host:
            raise UsageError("--here and --host ask two different things", hint="leave one of the two out")
        raise typer.Exit(_verify_here(profile=profile, require_gpu=require_gpu, as_json=as_json))

    if host and (image or deep):
        raise UsageError("--host takes no image and no --deep", hint="there is no container to look into")
    if every and (image or junit):
        raise UsageError("--all verifies the images of all locks: it takes no image and no --junit")

    from envbuild.workflows.project import find_project

    wish = _Wish(
        image=image,
        deep=deep,
        host=host,
        gpus=gpus,
        require_gpu=require_gpu,
        profile=profile,
        variant=variant,
        platform=platform,
        engine=engine,
        frozen=frozen,
        offline=offline,
    )
    if every:
        raise typer.Exit(_verify_all(output, spec, wish))
    verified = _verify(find_project(spec, frozen=frozen), wish, output.activity())
    _tell(output, verified)
    if junit:
        from envbuild.files import atomic
        from envbuild.verify.junit import render_junit

        atomic.write_text(junit, render_junit(verified.report))
    if not verified.report.succeeded:
        raise typer.Exit(ExitCode.VERIFICATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the command line says of verifying."""

    image: str | None
    deep: bool
    host: bool
    gpus: str
    require_gpu: bool
    profile: Literal["image", "devcontainer"]
    variant: str | None
    platform: str | None
    engine: "EngineName | None"
    frozen: bool
    offline: bool


@dataclass(frozen=True, slots=True)
class _Verified:
    """What was compared with a lock, and what came of it."""

    subject: str
    report: "Report"

    @property
    def verdict(self) -> str:
        """One line, with the counts."""
        if self.subject == THIS_MACHINE:
            asked = not any(self.report.with_outcome("skipped"))
            able = "can run the lock" if asked else "may run the lock, not everything could be asked"
            said = able if self.report.succeeded else "cannot run the lock"
        else:
            said = "matches its lock" if self.report.succeeded else "differs from its lock"
        counted = Counter(result.outcome for result in self.report.results)
        counts = ", ".join(f"{counted[outcome]} {outcome}" for outcome in MARKS if counted[outcome])
        return f"{self.subject} {said}: {counts}"

    @property
    def document(self) -> dict[str, Any]:
        """The whole report as JSON values."""
        from envbuild.verify.checks.report_text import report_document

        return report_document(self.report) | {"image": self.subject}


def _verify(project: "Project", wish: _Wish, activity: "AbstractContextManager[Activity]") -> _Verified:
    from envbuild.errors import UsageError
    from envbuild.workflows.containers import verify_machine, verify_target
    from envbuild.workflows.engines import choose_engine
    from envbuild.workflows.local import act_as_root
    from envbuild.workflows.project import choose_target, fresh_lock

    lock = fresh_lock(project, frozen=wish.frozen)
    target = choose_target(lock, variant=wish.variant, platform=wish.platform)
    if wish.require_gpu and target.gpu is None:
        raise UsageError(
            f"--require-gpu, but variant `{target.variant}` locks no GPU",
            hint="ask for another --variant, or give the spec a [gpu] table",
        )
    if wish.host:
        return _Verified(THIS_MACHINE, verify_machine(lock, target, require_gpu=wish.require_gpu))
    chosen = choose_engine(wish.engine, project)
    if chosen == "local":
        act_as_root()
    with activity as progress:
        found = verify_target(
            lock,
            target,
            engine=chosen,
            image=wish.image,
            deep=wish.deep,
            gpus=wish.gpus,
            require_gpu=wish.require_gpu,
            profile=wish.profile,
            offline=wish.offline,
            activity=progress,
        )
    return _Verified(*found)


def _verify_all(output: "Output", spec: Path | None, wish: _Wish) -> int:
    from contextlib import nullcontext

    from envbuild.cli.many import document, projects_of, tell, work_on
    from envbuild.errors import VerificationError
    from envbuild.workflows.local import act_as_root_for

    projects = projects_of(spec, every=True, frozen=wish.frozen)
    if not wish.host:
        act_as_root_for(projects, wish.engine)
    found: dict[Project, _Verified] = {}

    def work(project: "Project", activity: "Activity") -> str:
        found[project] = verified = _verify(project, wish, nullcontext(activity))
        if not verified.report.succeeded:
            lines = [_text(result) for result in verified.report.results if result.outcome == "failed"]
            raise VerificationError(verified.verdict, detail="\n".join(lines))
        return verified.verdict

    results = work_on(projects, work, output=output)
    if output.as_json:
        output.document(document(results, {project: item.document for project, item in found.items()}))
    return tell(output, results)


def _tell(output: "Output", verified: _Verified) -> None:
    if output.as_json:
        output.document(verified.document)
        return
    shown = [r for r in verified.report.results if output.verbose or r.outcome != "passed"]
    rows = [(MARKS[item.outcome], item.group, _text(item, verbose=output.verbose)) for item in shown]
    output.table(rows)
    output.say(verified.verdict)


def _text(result: "CheckResult", *, verbose: bool = False) -> str:
    """Return a result on one line, with its reason where the difference alone does not tell enough."""
    text = result.title if result.outcome == "skipped" else result.difference
    puzzling = result.outcome == "skipped" or result.group == "gpu"
    told = result.outcome != "passed" and (puzzling or verbose)
    return f"{text}: {result.reason}" if result.reason and told else text


def _verify_here(*, profile: str, require_gpu: bool, as_json: bool) -> int:
    """Run the probe this container carries with its own interpreter and return its exit status."""
    from envbuild import process
    from envbuild.errors import UsageError

    try:
        interpreter = json.loads((SELF / "lock.json").read_text(encoding="utf-8"))["interpreter"]["path"]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"this is no container of envbuild: {SELF / 'lock.json'} cannot be read",
            hint="run it inside an image that envbuild built",
        ) from error
    sys.stdout.flush()
    arguments = ["check", f"--profile={profile}"]
    arguments += ["--require-gpu"] if require_gpu else []
    arguments += ["--json"] if as_json else []
    command = [interpreter, "-I", "-S", "-B", str(SELF / "probe.pyz"), *arguments]
    return process.run_attached(command, environment=os.environ)
