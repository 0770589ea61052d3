"""`envbuild verify`."""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from envbuild.cli.engines import EngineOption
from envbuild.cli.options import (
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

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.verify.checks.report import Outcome, Report, Result

SELF = Path("/etc/envbuild")
"""Where an image carries its target's lock and its probe."""


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
        if image or deep or junit:
            raise UsageError(
                "--here takes no image, --deep or --junit", hint="they need the artifacts outside"
            )
        if host:
            raise UsageError("--here and --host ask two different things", hint="leave one of the two out")
        raise typer.Exit(_verify_here(profile=profile, require_gpu=require_gpu, as_json=as_json))

    from envbuild.cli.engines import choose_engine
    from envbuild.cli.project import choose_target, find_project, fresh_lock
    from envbuild.cli.wiring import verify_machine, verify_target

    project = find_project(spec, frozen=frozen)
    lock = fresh_lock(project, frozen=frozen)
    target = choose_target(lock, variant=variant, platform=platform)
    if require_gpu and target.gpu is None:
        raise UsageError(
            f"--require-gpu, but variant `{target.variant}` locks no GPU",
            hint="ask for another --variant, or give the spec a [gpu] table",
        )
    if host:
        if image or deep:
            raise UsageError("--host takes no image and no --deep", hint="there is no container to look into")
        report = verify_machine(lock, target, require_gpu=require_gpu)
        _tell(output, "this machine", report, verdicts=("can run the lock", "cannot run the lock"))
    else:
        with output.activity() as activity:
            reference, report = verify_target(
                lock,
                target,
                engine=choose_engine(engine, project),
                image=image,
                deep=deep,
                gpus=gpus,
                require_gpu=require_gpu,
                profile=profile,
                offline=offline,
                activity=activity,
            )
        _tell(output, reference, report)
    if junit:
        from envbuild import atomic
        from envbuild.verify.junit import render_junit

        atomic.write_text(junit, render_junit(report))
    if not report.succeeded:
        raise typer.Exit(ExitCode.VERIFICATION)


def _tell(
    output: "Output",
    subject: str,
    report: "Report",
    *,
    verdicts: tuple[str, str] = ("matches its lock", "differs from its lock"),
) -> None:
    if output.as_json:
        from envbuild.verify.checks.rendering import report_document

        output.document(report_document(report) | {"image": subject})
        return
    marks: dict[Outcome, str] = {
        "passed": "ok",
        "failed": "DIFFERS",
        "warned": "warning",
        "skipped": "skipped",
    }
    shown = [result for result in report.results if output.verbose or result.outcome != "passed"]
    output.table([(marks[result.outcome], result.group, _text(result)) for result in shown])
    counted = Counter(result.outcome for result in report.results)
    counts = ", ".join(f"{counted[outcome]} {outcome}" for outcome in marks if counted[outcome])
    verdict = verdicts[0] if report.succeeded else verdicts[1]
    output.say(f"{subject} {verdict}: {counts}")


def _text(result: "Result") -> str:
    """Return a result on one line; what was skipped has nothing found to tell of."""
    text = result.title if result.outcome == "skipped" else result.difference
    return f"{text}: {result.reason}" if result.reason and result.outcome != "passed" else text


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
