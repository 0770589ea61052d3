"""What `envbuild run` and `envbuild shell` have in common: options of a container, and how it ends."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from envbuild.workflows.containers.run import PreparedRun
    from envbuild.workflows.machine import Machine

Copies = Annotated[
    list[Path] | None,
    typer.Option(
        "--copy",
        "-c",
        help="File or folder to copy into the working directory; the spec's folder is not mounted then.",
    ),
]
CopyOut = Annotated[
    list[str] | None,
    typer.Option("--copy-out", help="PATH or PATH:LOCAL to copy from the container at the end."),
]
Env = Annotated[
    list[str] | None, typer.Option("--env", "-e", help="NAME=VALUE, or NAME to pass this shell's value.")
]
EnvFile = Annotated[
    list[Path] | None, typer.Option("--env-file", help="File with one variable on each line; --env wins.")
]
NoMount = Annotated[
    bool, typer.Option("--no-mount", help="Do not mount the spec's folder at the working directory.")
]
NoData = Annotated[bool, typer.Option("--no-data", help="Do not mount the locked data, and do without it.")]
NoRecord = Annotated[
    bool,
    typer.Option("--no-record", help="Tell the container nothing of command, git and image."),
]
Mounts = Annotated[
    list[str] | None,
    typer.Option(
        "--mount",
        help="SOURCE:TARGET[:ro], or type=bind|tmpfs,source=SOURCE,target=TARGET,readonly.",
    ),
]
Publish = Annotated[
    list[str] | None,
    typer.Option(
        "--publish", "-p", help="[[ADDRESS:]HOST:]CONTAINER port; without HOST the engine chooses one."
    ),
]
Network = Annotated[str | None, typer.Option("--network", help="none, host, or a network of the engine.")]
ShmSize = Annotated[str | None, typer.Option("--shm-size", help="Size of /dev/shm, such as 8g.")]
Workdir = Annotated[
    str | None,
    typer.Option(
        "--workdir", "-w", help="Folder of the container to start in.", show_default="this folder there"
    ),
]
User = Annotated[
    str | None,
    typer.Option(
        "--user", "-u", help="Name or UID[:GID] to run as.", show_default="you; image's with --no-mount"
    ),
]
Memory = Annotated[str | None, typer.Option("--memory", help="Most memory, such as 16g.")]
Cpus = Annotated[str | None, typer.Option("--cpus", help="Most CPUs, such as 2.5.")]
Tty = Annotated[
    bool | None,
    typer.Option("--tty/--no-tty", help="Give the command a terminal.", show_default="if on one"),
]


def passed_variables(items: "Iterable[str]", *, quiet: bool) -> dict[str, str]:
    """Return the variables of ``--env``.  A name that this shell has not is noted: it passes nothing."""
    from envbuild.cli.output import Output
    from envbuild.workflows.containers.texts import unset_variables, variables_of

    for name in unset_variables(items, os.environ):
        Output(quiet=quiet).note(f"--env {name}: not set in this shell; a variant is named with --variant")
    return variables_of(items, os.environ)


def finish(
    prepare: "Callable[[Machine], PreparedRun]", *, offline: bool, quiet: bool, verbose: bool
) -> NoReturn:
    """Prepare a command and start it; exit with its own code.

    :raises RunError: it was not started, or not all could be copied back: lower codes belong to the command.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.errors import CopyOutError, EnvbuildError, RunError

    output = Output(quiet=quiet, verbose=verbose)
    try:
        with output.activity() as activity:
            prepared = prepare(command_machine(activity, offline=offline))
        status = prepared.start()
    except EnvbuildError as error:
        ended = error.exit_status if isinstance(error, CopyOutError) else 0
        failed = RunError(error.message, hint=error.hint, problems=error.problems, detail=error.detail)
        if not ended:
            raise failed from error
        # the command's own code says more
        output.error(failed)
        raise typer.Exit(ended) from error
    explanation = prepared.explain(status)
    if explanation:
        output.note(explanation)
    raise typer.Exit(status)
