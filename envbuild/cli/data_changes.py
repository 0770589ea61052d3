"""`envbuild data diff` and `envbuild data snapshot`."""

from pathlib import Path
from typing import Annotated, Final

import typer

from envbuild.cli.options import AsJson, Quiet, SpecPath, Verbose

_OUTPUTS: Final = Path("envbuild.outputs.json")


def diff(
    revision: Annotated[
        str | None,
        typer.Argument(
            help="Git revision whose lock is compared with this one.", show_default="what is here"
        ),
    ] = None,
    *,
    names: Annotated[
        list[str] | None, typer.Option("--name", help="Data of this name alone.", show_default="all")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when something differs.")] = False,
    spec: SpecPath = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show how data differs from the lock, or the lock from another revision's."""
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.cli.text.data import changed_lines
    from envbuild.errors import ExitCode
    from envbuild.workflows.data.differences import diff_data

    output = Output(verbose=verbose, as_json=as_json)
    with output.activity() as progress:
        result = diff_data(project_of(spec), revision, names or (), machine=command_machine(progress))
    if as_json:
        output.document(result.document())
    else:
        for line in changed_lines(result, verbose=verbose):
            output.data(line)
    if exit_code and result.differs:
        raise typer.Exit(ExitCode.FAILURE)


def snapshot(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders that a run left.")],
    *,
    file: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = _OUTPUTS,
    record: Annotated[
        Path | None, typer.Option("--run", help="Record of the run.", show_default="ENVBUILD_RUN")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Record outputs by digest, beside the run that left them."""
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.text.data import output_rows
    from envbuild.workflows.data.snapshots import snapshot_data

    output = Output(quiet=quiet, as_json=as_json)
    with output.activity() as progress:
        found = snapshot_data(paths, record=record, machine=command_machine(progress))
    found.save(file)
    if as_json:
        output.document(found.document())
        return
    output.table(output_rows(found))
    output.say(f"wrote {file}")
