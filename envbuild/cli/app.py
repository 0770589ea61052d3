"""The program: its commands, and nothing heavy at start-up."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from envbuild.cli import (
    build,
    cache,
    catalog,
    config,
    data,
    describe,
    devcontainer,
    diff,
    doctor,
    edit,
    explain,
    export,
    images,
    import_lock,
    init,
    lock,
    merge_driver,
    outdated,
    pull,
    push,
    render,
    rm,
    run,
    shell,
    status,
    tree,
    verify,
    why,
)
from envbuild.cli.boundary import Boundary
from envbuild.cli.output import Output
from envbuild.cli.quick_command import QuickCommand
from envbuild.cli.termination import ending_in_order
from envbuild.version import __version__

STANDARD_ERROR = 2

app = typer.Typer(
    name="envbuild",
    cls=Boundary,
    help="Reproducible ML environments: lock, build, verify.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback signature
    if wanted:
        Output().data(f"envbuild {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--directory",
            "-C",
            metavar="FOLDER",
            help="Change to this folder first: all other paths are relative to it.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback is all of it
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Reproducible ML environments: lock, build, verify."""
    if folders:
        from envbuild.cli.machine import enter_folders, leave_folders

        context.call_on_close(leave_folders)
        enter_folders(folders)


_SPEC: Final = "Spec and lock"
_IMAGE: Final = "Image"
_INSPECTION: Final = "Inspection"
_OTHER_TOOLS: Final = "Other tools"
_MACHINE: Final = "This machine"
"""Headings of the commands in the help."""

app.command(name="init", rich_help_panel=_SPEC)(init.init)
app.command(name="import", rich_help_panel=_SPEC)(import_lock.import_lock)
app.command(name="lock", rich_help_panel=_SPEC)(lock.lock)
app.command(name="add", rich_help_panel=_SPEC)(edit.add)
app.command(name="remove", rich_help_panel=_SPEC)(edit.remove)
app.command(name="upgrade", rich_help_panel=_SPEC)(edit.upgrade)
app.add_typer(data.app, name="data", rich_help_panel=_SPEC)
app.command(name="build", rich_help_panel=_IMAGE)(build.build)
app.command(name="verify", rich_help_panel=_IMAGE)(verify.verify)
app.command(name="run", rich_help_panel=_IMAGE, context_settings={"allow_interspersed_args": False})(run.run)
app.command(name="shell", rich_help_panel=_IMAGE)(shell.shell)
app.command(name="images", rich_help_panel=_IMAGE)(images.images)
app.command(name="push", rich_help_panel=_IMAGE)(push.push)
app.command(name="pull", rich_help_panel=_IMAGE)(pull.pull)
app.command(name="rm", rich_help_panel=_IMAGE)(rm.remove)
app.command(name="status", rich_help_panel=_INSPECTION)(status.status)
app.command(name="describe", rich_help_panel=_INSPECTION)(describe.describe)
app.command(name="diff", rich_help_panel=_INSPECTION)(diff.diff)
app.command(name="tree", rich_help_panel=_INSPECTION, cls=QuickCommand)(tree.tree)
app.command(name="why", rich_help_panel=_INSPECTION, cls=QuickCommand)(why.why)
app.command(name="outdated", rich_help_panel=_INSPECTION)(outdated.outdated)
app.add_typer(explain.app, name="explain", rich_help_panel=_INSPECTION)
app.command(name="render", rich_help_panel=_OTHER_TOOLS)(render.render)
app.add_typer(export.app, name="export", rich_help_panel=_OTHER_TOOLS)
app.command(name="devcontainer", rich_help_panel=_OTHER_TOOLS)(devcontainer.devcontainer)
app.add_typer(merge_driver.app, name="merge-driver", rich_help_panel=_OTHER_TOOLS)
app.command(name="doctor", rich_help_panel=_MACHINE)(doctor.doctor)
app.add_typer(config.app, name="config", rich_help_panel=_MACHINE)
app.add_typer(cache.app, name="cache", rich_help_panel=_MACHINE)
app.add_typer(catalog.app, name="catalog", rich_help_panel=_MACHINE)


def _provide_standard_error() -> None:
    """Where it was closed by whoever started the program, have messages go nowhere.

    Or the next file that is opened would get its number, and the messages.
    """
    try:
        os.fstat(STANDARD_ERROR)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, STANDARD_ERROR)
        sys.stderr = open(STANDARD_ERROR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def main() -> None:
    """Run the program.  What it writes to stdout is UTF-8 in every locale, like the files it writes."""
    _provide_standard_error()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    with ending_in_order():
        app()
