"""`envbuild run`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from envbuild.cli.options import (
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


def run(
    *,
    command: Annotated[list[str], typer.Argument(help="Command to run, after `--`.", show_default=False)],
    copy: Annotated[
        list[Path] | None,
        typer.Option("--copy", "-c", help="File or folder to lay into the working directory first."),
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="NAME=VALUE, or NAME to pass this shell's value.")
    ] = None,
    gpus: Gpus = "auto",
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    engine: EngineOption = None,
    frozen: Frozen = False,
    offline: Offline = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a command in the locked image.

    The image is built first when it is not there; exits with the command's own code.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.errors import EnvbuildError, RunError
    from envbuild.workflows.run import RunOptions, prepare_run, variables_of

    options = RunOptions(
        copies=tuple(copy or ()),
        env=variables_of(env or (), os.environ),
        gpus=gpus,
        variant=variant,
        platform=platform,
        engine=engine,
        frozen=frozen,
    )
    try:
        with Output(quiet=quiet, verbose=verbose).activity() as activity:
            machine = command_machine(activity, offline=offline)
            project = project_of(spec, frozen=frozen)
            prepared = prepare_run(project, command, options, machine=machine)
        status = prepared.start()
    except EnvbuildError as error:
        # codes below 125 belong to the command
        raise RunError(
            error.message, hint=error.hint, problems=error.problems, detail=error.detail
        ) from error
    raise typer.Exit(status)
