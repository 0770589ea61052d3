"""`envbuild verify`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.next_step import tell_next
from envbuild.cli.options import (
    AllSpecs,
    AsJson,
    EngineOption,
    Frozen,
    Gpus,
    Junit,
    Offline,
    PlatformOption,
    ProfileOption,
    Quiet,
    RequireGpu,
    SpecPath,
    Variant,
    Verbose,
)

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.verify import VerifyResult


def verify(
    *,
    image: Annotated[
        str | None,
        typer.Argument(
            help="Image to verify; with --deep or --exact also oci:FOLDER, archive:FILE, registry:REFERENCE.",
            show_default="the one of the lock",
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every file from outside and compare it; then ask the image.")
    ] = False,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Prove that the image is what the lock makes, by digest or every file."),
    ] = False,
    require_complete: Annotated[
        bool,
        typer.Option("--require-complete", help="Fail when a path cannot be compared with anything."),
    ] = False,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Read every layer again, and assemble what the lock makes again."),
    ] = False,
    here: Annotated[
        bool, typer.Option("--here", help="Verify the container this runs in with the lock it carries.")
    ] = False,
    host: Annotated[
        bool,
        typer.Option("--host", help="Verify this machine: processor, driver and GPUs, without a container."),
    ] = False,
    gpus: Gpus = "auto",
    require_gpu: RequireGpu = False,
    profile: ProfileOption = "image",
    junit: Junit = None,
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
    """Check an image against its lock.

    Plain verify asks the image what it holds.  --deep reads its files from outside, and asks afterwards.
    Exits with 8 when something differs.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.errors import ExitCode, UsageError
    from envbuild.workflows.verify import VerifyOptions, verify_image

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    if here:
        if image or deep or exact or require_complete or no_cache or junit or every:
            outside = "they are for `envbuild verify` outside the container"
            raise UsageError("--here takes no image, and no option about one", hint=outside)
        if host:
            raise UsageError("--here and --host ask two different things", hint="leave one of the two out")
        from envbuild.workflows.verify_here import verify_here

        sys.stdout.flush()
        machine = command_machine()
        raise typer.Exit(
            verify_here(profile=profile, require_gpu=require_gpu, as_json=as_json, machine=machine)
        )
    options = VerifyOptions(
        image=image,
        deep=deep,
        exact=exact,
        require_complete=require_complete,
        use_cache=not no_cache,
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
        project = project_of(spec, frozen=frozen)
        with output.activity() as activity:
            result = verify_image(project, options, machine=command_machine(activity, offline=offline))
        _tell(output, result)
        if result.succeeded and not host and image is None:
            tell_next(output, project, "shell", like=options)
        if junit:
            result.write_junit(junit)
        if not result.succeeded:
            raise typer.Exit(ExitCode.VERIFICATION)
        return

    from envbuild.cli.many import tell_results
    from envbuild.workflows.many import open_projects
    from envbuild.workflows.verify import VerifyResult, verify_images, write_junit_of_specs

    machine = command_machine(output.lines(), offline=offline)
    results = verify_images(open_projects(spec, frozen=frozen), options, machine=machine)
    if junit:
        write_junit_of_specs(junit, results)
    raise typer.Exit(
        tell_results(output, results, summary=lambda result: result.verdict, document=VerifyResult.document)
    )


def _tell(output: "Output", result: "VerifyResult") -> None:
    from envbuild.cli.text.verify import as_lines

    if output.as_json:
        output.document(result.document())
    elif not (output.quiet and result.succeeded):
        # differences are the result of the command: --quiet does not hide them
        output.report(as_lines(result, quiet=output.quiet, verbose=output.verbose))
