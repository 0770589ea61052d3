"""`envbuild cache`."""

import typer

from envbuild.cli.options import AsJson

app = typer.Typer(help="Show or tidy the cache.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def info(*, as_json: AsJson = False) -> None:
    """Show where the cache is and what it holds."""
    from envbuild.cli.output import Output
    from envbuild.store.location import cache_folder
    from envbuild.store.maintenance import usage
    from envbuild.store.sizes import readable_size
    from envbuild.store.store import Store

    output = Output(as_json=as_json)
    folder = cache_folder()
    rows = usage(Store(folder))
    if as_json:
        output.document({"folder": str(folder), "kinds": {row.kind: row.size for row in rows}})
        return
    output.data(str(folder))
    output.table([(row.kind, str(row.files), readable_size(row.size)) for row in rows])
