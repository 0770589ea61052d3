"""The program: commands, the one place where errors become exit codes, and nothing heavy at start-up."""

import io
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from envbuild.cli import (
    build,
    cache,
    catalog,
    devcontainer,
    diff,
    doctor,
    explain,
    export,
    import_lock,
    init,
    lock,
    merge_driver,
    render,
    run,
    status,
    verify,
)
from envbuild.cli.output import Output
from envbuild.cli.termination import ending_in_order
from envbuild.errors import EnvbuildError, ExitCode, from_os_error
from envbuild.version import __version__
from envbuild.visible import visible_lines


class Boundary(TyperGroup):
    """Turns what commands raise into messages and exit codes; see ``errors.py`` for their meaning."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        output = Output()
        try:
            return super().invoke(ctx)
        except EnvbuildError as error:
            output.error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            output.report(["", "interrupted"])
            raise typer.Exit(ExitCode.INTERRUPTED) from error
        except BrokenPipeError as error:
            # the reader of stdout went away; there is nobody to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.FAILURE) from error
        except OSError as error:
            output.error(from_os_error(error))
            raise typer.Exit(ExitCode.FAILURE) from error
        except Exception as error:
            if type(error).__module__.split(".")[0] in {"click", "typer"}:
                raise
            output.report(visible_lines(traceback.format_exc()))
            version = sys.version.split()[0]
            output.report(
                [
                    "",
                    f"This is a bug in envbuild {__version__} (Python {version}, {sys.platform}).",
                    "Please report it with the lines above.",
                ]
            )
            raise typer.Exit(ExitCode.BUG) from error


app = typer.Typer(
    name="envbuild",
    cls=Boundary,
    help="ML environments that are the same everywhere, and prove it.",
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
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """ML environments that are the same everywhere, and prove it."""


app.command(name="init")(init.init)
app.command(name="import")(import_lock.import_lock)
app.command(name="lock")(lock.lock)
app.command(name="diff")(diff.diff)
app.command(name="render")(render.render)
app.command(name="build")(build.build)
app.command(name="status")(status.status)
app.command(name="verify")(verify.verify)
app.command(name="run", context_settings={"allow_interspersed_args": False})(run.run)
app.add_typer(explain.app, name="explain")
app.add_typer(export.app, name="export")
app.add_typer(merge_driver.app, name="merge-driver")
app.command(name="devcontainer")(devcontainer.devcontainer)
app.add_typer(catalog.app, name="catalog")
app.add_typer(cache.app, name="cache")
app.command(name="doctor")(doctor.doctor)


def main() -> None:
    """Run the program.  What it writes to stdout is UTF-8 in every locale, like the files it writes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    with ending_in_order():
        app()
