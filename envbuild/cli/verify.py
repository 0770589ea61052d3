"""`envbuild verify`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from envbuild.cli.options import (
    AllSpecs,
    AsJson,
    EngineOption,
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
    from envbuild.workflows.verify import VerifyResult

MARKS = {"passed": "ok", "failed": "DIFFERS", "warned": "warning", "skipped": "skipped"}


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
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.errors import ExitCode, UsageError
    from envbuild.workflows.verify import VerifyOptions, VerifyResult, verify_image, verify_images

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    if here:
        if image or deep or junit or every:
            raise UsageError(
                "--here takes no image, --all, --deep or --junit", hint="they need the artifacts outside"
            )
        if host:
            raise UsageError("--here and --host ask two different things", hint="leave one of the two out")
        raise typer.Exit(_verify_here(profile=profile, require_gpu=require_gpu, as_json=as_json))
    if every and (image or junit):
        raise UsageError("--all verifies the images of all locks: it takes no image and no --junit")
    options = VerifyOptions(
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
    )
    if not every:
        from envbuild.cli.project import project_of

        with output.activity() as activity:
            machine = command_machine(activity, offline=offline)
            project = project_of(spec, frozen=frozen)
            result = verify_image(project, options, machine=machine)
        _tell(output, result)
        if junit:
            result.write_junit(junit)
        if not result.succeeded:
            raise typer.Exit(ExitCode.VERIFICATION)
        return

    from envbuild.cli.many import tell_results
    from envbuild.workflows.many import open_projects

    machine = command_machine(output.lines(), offline=offline)
    results = verify_images(open_projects(spec, frozen=frozen), options, machine=machine)
    raise typer.Exit(
        tell_results(output, results, summary=lambda result: result.verdict, document=VerifyResult.document)
    )


def _tell(output: "Output", result: "VerifyResult") -> None:
    from envbuild.cli.output import aligned
    from envbuild.workflows.verify import result_line

    if output.as_json:
        output.document(result.document())
        return
    if output.quiet and result.succeeded:
        return
    shown = [
        item
        for item in result.report.results
        if output.verbose or item.outcome == "failed" or (item.outcome != "passed" and not output.quiet)
    ]
    rows = [(MARKS[item.outcome], item.group, result_line(item, verbose=output.verbose)) for item in shown]
    # differences are the result of the command: --quiet does not hide them
    output.report([*aligned(rows), result.verdict])


def _verify_here(*, profile: str, require_gpu: bool, as_json: bool) -> int:
    from envbuild.cli.machine import command_machine
    from envbuild.workflows.verify_here import verify_here

    sys.stdout.flush()
    return verify_here(profile=profile, require_gpu=require_gpu, as_json=as_json, machine=command_machine())
