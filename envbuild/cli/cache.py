"""`envbuild cache`."""

import math
from typing import Annotated

import typer

from envbuild.cli.options import AsJson

app = typer.Typer(help="Show or tidy the cache.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def info(*, as_json: AsJson = False) -> None:
    """Show where the cache is and what it holds."""
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.workflows.sizes import readable_size
    from envbuild.workflows.upkeep.cache import cache_info

    output = Output(as_json=as_json)
    found = cache_info(command_machine())
    if as_json:
        kinds = {row.kind: row.size for row in found.usage}
        output.document({"folder": str(found.folder), "kinds": kinds})
        return
    output.data(str(found.folder))
    output.table([(row.kind, str(row.files), readable_size(row.size)) for row in found.usage])


@app.command()
def prune(
    *,
    older_than: Annotated[
        float | None, typer.Option("--older-than", help="Remove what was not used for this many days.")
    ] = None,
    max_size: Annotated[
        float | None,
        typer.Option(
            "--max-size",
            help="Remove what was used least recently, until the cache has at most this many gigabytes.",
        ),
    ] = None,
) -> None:
    """Remove files that were not used for long.

    What is removed is fetched or made again when it is needed.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.errors import UsageError
    from envbuild.workflows.sizes import counted, readable_size
    from envbuild.workflows.upkeep.cache import GIGABYTE, PruneOptions, prune_cache

    if older_than is None and max_size is None:
        raise UsageError("choose what to remove", hint="give --older-than DAYS or --max-size GIGABYTES")
    for option, value in (("--older-than", older_than), ("--max-size", max_size)):
        # written so that nan, which is neither more nor less than anything, is refused too
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"{option} must be 0 or more, not {value:g}")
    options = PruneOptions(
        older_than_days=older_than, max_bytes=None if max_size is None else int(max_size * GIGABYTE)
    )
    removed = prune_cache(options, command_machine())
    Output().say(f"removed {counted(removed.files, 'file')}, {readable_size(removed.size)}")
