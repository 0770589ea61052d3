"""`envbuild run`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from envbuild.cli.options import Frozen, Gpus, Offline, PlatformOption, Quiet, SpecPath, Variant, Verbose
from envbuild.workflows.engines import EngineOption


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
    from envbuild.cli.output import Output
    from envbuild.errors import EnvbuildError, RunError
    from envbuild.workflows.artifacts import build_target
    from envbuild.workflows.containers import run_in_image
    from envbuild.workflows.engines import ENGINES, choose_engine
    from envbuild.workflows.local import act_as_root
    from envbuild.workflows.project import choose_target, find_project, fresh_lock

    output = Output(quiet=quiet, verbose=verbose)
    try:
        project = find_project(spec, frozen=frozen)
        lock = fresh_lock(project, frozen=frozen)
        target = choose_target(lock, variant=variant, platform=platform)
        chosen = choose_engine(engine, project)
        if chosen == "local":
            act_as_root()
        with output.activity() as activity:
            # both engines make the same environment, so an image that either made will do
            outcome = build_target(
                lock,
                target,
                engine=chosen,
                made_by=ENGINES,
                use_cache=True,
                offline=offline,
                activity=activity,
            )
        status = run_in_image(
            outcome,
            target,
            command,
            engine=chosen,
            copies=tuple(copy or ()),
            env=dict(pair for item in env or () for pair in _variable(item)),
            gpus=gpus,
            offline=offline,
        )
    except EnvbuildError as error:
        # codes below 125 belong to the command
        raise RunError(
            error.message, hint=error.hint, problems=error.problems, detail=error.detail
        ) from error
    raise typer.Exit(status)


def _variable(item: str) -> Iterator[tuple[str, str]]:
    """Yield the variable ``item`` stands for; none, as docker does, when this shell has no such variable."""
    name, separator, value = item.partition("=")
    if separator:
        yield name, value
    elif name in os.environ:
        yield name, os.environ[name]
