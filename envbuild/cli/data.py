"""`envbuild data`."""

from typing import Annotated

import typer

from envbuild.cli.data_changes import diff, snapshot
from envbuild.cli.next_step import tell_next
from envbuild.cli.options import AsJson, Offline, Quiet, SpecPath, Verbose

app = typer.Typer(
    help="Lock, fetch and verify data and models by digest.", no_args_is_help=True, rich_markup_mode=None
)

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Names of data.", show_default="all"),
]
Outside = Annotated[
    bool, typer.Option("--outside", help="Data may lie outside of the project's folder.", show_default=False)
]


@app.command()
def lock(
    names: Names = None,
    *,
    outside: Outside = False,
    spec: SpecPath = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Lock data as it is now.

    Writes digests into `envbuild.lock` and manifests into `envbuild.data`; all else of the lock stays.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.cli.text.data import locked_rows
    from envbuild.workflows.data.locking import lock_data

    output, project = Output(quiet=quiet, as_json=as_json), project_of(spec)
    with output.activity() as progress:
        machine = command_machine(progress, offline=offline)
        result = lock_data(project, names or (), outside=outside, machine=machine)
    if as_json:
        output.document(result.document())
        return
    output.table(locked_rows(result))
    output.say(f"wrote {project.lock}" if result.written else f"{project.lock.name} is up to date")
    if result.written:
        tell_next(output, project, "data fetch")


@app.command()
def fetch(
    names: Names = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that were changed here.")] = False,
    outside: Outside = False,
    spec: SpecPath = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring locked data here, verified.

    What is here as it is locked stays; what breaks off goes on next time.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.cli.text.data import fetched_rows
    from envbuild.workflows.data.fetching import fetch_data

    output, project = Output(quiet=quiet, as_json=as_json), project_of(spec)
    with output.activity() as progress:
        machine = command_machine(progress, offline=offline)
        result = fetch_data(project, names or (), force=force, outside=outside, machine=machine)
    if as_json:
        output.document(result.document())
        return
    output.table(fetched_rows(result))
    tell_next(output, project, "run")


@app.command()
def verify(
    names: Names = None,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Read every file, also those that were read before.")
    ] = False,
    spec: SpecPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare data with the lock.

    Exits with 8 when some is missing or changed; every such file is named.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.cli.text.data import verified_lines
    from envbuild.errors import ExitCode
    from envbuild.workflows.data.verifying import verify_data

    output, project = Output(quiet=quiet, verbose=verbose, as_json=as_json), project_of(spec)
    with output.activity() as progress:
        result = verify_data(project, names or (), remembers=not again, machine=command_machine(progress))
    if as_json:
        output.document(result.document())
    elif not (quiet and result.succeeded):
        output.report(verified_lines(result, verbose=verbose))
    if not result.succeeded:
        if any(item.state == "missing" for item in result.data):
            tell_next(output, project, "data fetch")
        raise typer.Exit(ExitCode.VERIFICATION)


app.command()(diff)
app.command()(snapshot)
