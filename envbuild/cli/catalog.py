"""`envbuild catalog`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AsJson

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.upkeep.catalog import CatalogUpdate

DEFAULT_REPOSITORY = "nvidia/cuda"
SOME = 5
"""How many tags are named."""

app = typer.Typer(
    help="Show, check or update the CUDA and GPU catalogue.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def show(
    table: Annotated[str | None, typer.Argument(help="Which table; none: the list of them.")] = None,
    words: Annotated[
        list[str] | None, typer.Argument(help="Only rows that have all these words in them.")
    ] = None,
    *,
    sources: Annotated[bool, typer.Option("--sources", help="Say where each row comes from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the catalogue in force."""
    from envbuild.cli.output import Output
    from envbuild.workflows.upkeep.catalog import show_table, summarise_catalog

    output = Output(as_json=as_json)
    if table is None:
        summary = summarise_catalog()
        if as_json:
            output.document({"version": summary.version, "tables": dict(summary.tables)})
            return
        output.data(f"catalogue {summary.version}")
        output.columns([(name, str(rows), summary.about[name]) for name, rows in summary.tables.items()])
        return
    found = show_table(table, words or ())
    if as_json:
        output.document({"version": found.version, "table": table, "rows": list(found.rows)})
    elif found.rows:
        kept = [key for key in found.rows[0] if sources or key != "source"]
        cells = [["-" if row[key] in {None, ""} else str(row[key]) for key in kept] for row in found.rows]
        output.columns(cells, header=kept)


@app.command()
def check(*, as_json: AsJson = False) -> None:
    """Find holes and contradictions in the catalogue; exit with 1 if there are any."""
    from envbuild.cli.output import Output
    from envbuild.errors import ExitCode
    from envbuild.workflows.sizes import counted
    from envbuild.workflows.upkeep.catalog import check_catalog

    found, output = check_catalog(), Output(as_json=as_json)
    if as_json:
        flaws = [{"kind": flaw.kind, "where": flaw.where, "message": flaw.message} for flaw in found.flaws]
        output.document({"version": found.version, "flaws": flaws, "known-holes": dict(found.known_holes)})
    else:
        output.columns([(f"{flaw.kind}:", flaw.where, flaw.message) for flaw in found.flaws])
        for where, why in found.known_holes.items():
            output.say(f"known hole: {where}: {why}")
        count = len(found.flaws)
        output.say(f"catalogue {found.version}: {counted(count, 'flaw') if count else 'no flaws'}")
    if found.flaws:
        raise typer.Exit(ExitCode.FAILURE)


@app.command()
def update(
    file: Annotated[
        Path | None, typer.Argument(help="Rows to add, in the form of the catalogue's data files.")
    ] = None,
    *,
    registry: Annotated[
        str, typer.Option("--from", help="Repository whose tags are read when no file is given.")
    ] = DEFAULT_REPOSITORY,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the catalogue of this release.")] = False,
    as_json: AsJson = False,
) -> None:
    """Update the catalogue from a file, or from the tags a registry lists.

    The update is kept in the user's data folder; locks record its version.
    """
    from envbuild.cli.output import Output
    from envbuild.errors import UsageError
    from envbuild.workflows.upkeep.catalog import reset_catalog, update_catalog

    if reset and file is not None:
        raise UsageError("--reset takes no file", hint="reset first, then update")
    _tell(Output(as_json=as_json), reset_catalog() if reset else update_catalog(file, registry=registry))


def _tell(output: "Output", done: "CatalogUpdate") -> None:
    if output.as_json:
        output.document(done.document())
        return
    from envbuild.workflows.sizes import counted

    tags = done.tags
    if tags is not None:
        output.say(f"{counted(tags.listed, 'tag')}; {_some(tags.new, 'new')}; {_some(tags.gone, 'gone')}")
        if tags.passed_over:
            one = tags.passed_over == 1
            others = "1 other is not an image" if one else f"{tags.passed_over} others are not images"
            output.say(f"{others} of CUDA as they are named today")
        if tags.unknown_distributions:
            names = ", ".join(tags.unknown_distributions)
            output.note(f"the catalogue does not know {names}; their tags were passed over")
    output.data(f"catalogue {done.version}")


def _some(tags: tuple[str, ...], what: str) -> str:
    """Return how many tags, and the first of them."""
    if not tags:
        return f"none {what}"
    more = ", …" if len(tags) > SOME else ""
    return f"{len(tags)} {what} ({', '.join(tags[:SOME])}{more})"
