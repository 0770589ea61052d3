"""`envbuild config`."""

from typing import Annotated

import typer

from envbuild.cli.completion import complete_key
from envbuild.cli.options import AsJson, Quiet

app = typer.Typer(
    help="Show or change the user's configuration.", invoke_without_command=True, rich_markup_mode=None
)

Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="A key such as engine, cache-dir or indexes.corp.url.",
        autocompletion=complete_key,
    ),
]


@app.callback()
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show or change the user's configuration.

    Without a command: every key with its value, and where the value comes from.  Passwords are not shown.
    """
    if context.invoked_subcommand is not None:
        return
    from envbuild.cli.output import Output
    from envbuild.workflows.upkeep.configuration import show_configuration

    output, found = Output(as_json=as_json), show_configuration()
    for note in found.notes:
        output.note(note)
    if as_json:
        output.document(found.document())
        return
    output.say(f"{found.file or 'no file'}{'' if found.exists or not found.file else ' (not there)'}")
    rows = [(item.key, "-" if item.value is None else item.value, item.source) for item in found.settings]
    output.columns(rows, header=("key", "value", "from"))


@app.command()
def get(key: Key, *, as_json: AsJson = False) -> None:
    """Print the value of a key; exit with 1 if it has none."""
    from envbuild.cli.output import Output
    from envbuild.errors import ExitCode
    from envbuild.workflows.upkeep.configuration import setting_in_force

    output, found = Output(as_json=as_json), setting_in_force(key)
    if as_json:
        output.document(found.document())
    elif found.value is not None:
        output.data(found.value)
    if found.value is None:
        raise typer.Exit(ExitCode.FAILURE)


@app.command(name="set")
def set_(
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its value; of a list, separated by commas.")],
    *,
    quiet: Quiet = False,
) -> None:
    """Set a key in the configuration file.

    The file is made if it is not there; comments and order stay.
    """
    from envbuild.cli.output import Output
    from envbuild.workflows.upkeep.configuration import set_value, user_configuration_file

    output = Output(quiet=quiet)
    for note in set_value(key, value):
        output.note(note)
    output.say(f"set {key} in {user_configuration_file()}")


@app.command()
def unset(key: Key, *, quiet: Quiet = False) -> None:
    """Remove a key from the configuration file."""
    from envbuild.cli.output import Output
    from envbuild.workflows.upkeep.configuration import unset_value, user_configuration_file

    unset_value(key)
    Output(quiet=quiet).say(f"removed {key} from {user_configuration_file()}")


@app.command()
def path() -> None:
    """Print where the configuration file is, whether it is there or not."""
    from envbuild.cli.output import Output
    from envbuild.workflows.upkeep.configuration import user_configuration_file

    Output().data(str(user_configuration_file()))
