"""`envbuild merge-driver`: git merges locks by what they mean."""

from pathlib import Path
from typing import Annotated

import typer

from envbuild.cli.options import Quiet

app = typer.Typer(help="Git merge driver for lock files.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def install(*, quiet: Quiet = False) -> None:
    """Make git merge locks with envbuild, in this repository.

    Writes a line into .gitattributes, to be committed, and the driver into this clone's configuration, which
    every clone has to do for itself.
    """
    from envbuild.cli.output import Output
    from envbuild.workflows.upkeep.merge_driver import ATTRIBUTE, install_merge_driver

    output = Output(quiet=quiet)
    if install_merge_driver():
        output.say(f"wrote `{ATTRIBUTE}` into .gitattributes: commit it")
    output.say("git merges locks with envbuild in this clone")


@app.command()
def run(
    base: Annotated[Path, typer.Argument(help="The common ancestor (%O).")],
    ours: Annotated[Path, typer.Argument(help="This side; the result is written to it (%A).")],
    theirs: Annotated[Path, typer.Argument(help="The other side (%B).")],
    name: Annotated[str, typer.Argument(help="Path of the lock in the repository (%P).")],
) -> None:
    """Merge three locks; what git calls.

    Exits 1 and leaves git's own merge with its markers when the two sides cannot be joined without resolving
    anew.
    """
    from envbuild.cli.output import Output
    from envbuild.errors import ExitCode
    from envbuild.workflows.upkeep.merge_driver import merge_lock_files

    output = Output()
    result = merge_lock_files(base, ours, theirs)
    if result.merged:
        return
    output.say(f"envbuild cannot merge {name}:")
    for conflict in result.conflicts:
        output.say(f"  • {conflict}")
    output.say("take one side, merge the spec, and run `envbuild lock`: versions nobody changed stay")
    raise typer.Exit(ExitCode.FAILURE)
