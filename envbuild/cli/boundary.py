"""The one place where errors become messages and exit codes."""

import os
import sys
import traceback
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from envbuild.cli.output import Output
from envbuild.cli.quick_command import taking_plain_values
from envbuild.errors import EnvbuildError, ExitCode, from_os_error
from envbuild.version import __version__
from envbuild.visible import visible_lines


class Boundary(TyperGroup):
    """Turns what commands raise into messages and exit codes; see ``errors.py`` for their meaning."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters of the program itself."""
        return taking_plain_values(super().get_params(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands below the headings that they have."""
        groups: dict[str, list[Any]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            groups.setdefault(command.rich_help_panel, []).append(command)
        widest = max(len(command.name) for commands in groups.values() for command in commands)
        for heading, commands in groups.items():
            with formatter.section(heading):
                # all columns begin alike
                formatter.write_dl(
                    [
                        (command.name.ljust(widest), command.get_short_help_str(formatter.width - widest - 6))
                        for command in commands
                    ]
                )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that was typed; one of another tool is an error that says what to type here."""
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            from envbuild.cli.other_tools import hint_for_command

            hint = hint_for_command(args[0])
            if hint is None:
                raise
            _refuse(error, hint)

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
                hint = _hint_for(error)
                if hint is None:
                    raise
                _refuse(error, hint)
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


def _hint_for(error: Any) -> str | None:
    """Return what to type in place of an option of another tool."""
    if not hasattr(error, "possibilities") or getattr(error, "ctx", None) is None:
        return None
    from envbuild.cli.other_tools import hint_for_option

    return hint_for_option(error.ctx.info_name, error.option_name)


def _refuse(error: Any, hint: str) -> NoReturn:
    # what is spelled alike is no help where it is known what was meant
    error.possibilities = None
    error.message = error.message.partition(" Did you mean ")[0]
    error.show()
    Output().report(["", f"hint: {hint}"])
    raise typer.Exit(ExitCode.USAGE) from error
