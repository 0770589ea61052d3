"""`envbuild catalog`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AsJson

if TYPE_CHECKING:
    from envbuild.catalog.tables import Catalog
    from envbuild.catalog.update import TagUpdate, Update
    from envbuild.cli.output import Output

DEFAULT_REPOSITORY = "nvidia/cuda"
SOME = 5

app = typer.Typer(
    help="Show, check or update what is known of CUDA, GPUs and images.",
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
    from envbuild.catalog.active import catalog_in_force
    from envbuild.cli.catalog_tables import SHOWN, matching
    from envbuild.cli.output import Output
    from envbuild.errors import UsageError
    from envbuild.spec.problems import near

    catalog, output = catalog_in_force(), Output(as_json=as_json)
    if table is None:
        tables = {name: len(list(shown.rows(catalog))) for name, shown in SHOWN.items()}
        if as_json:
            output.document({"version": catalog.version, "tables": tables})
            return
        output.data(f"catalogue {catalog.version}")
        output.columns([(name, str(count), SHOWN[name].about) for name, count in tables.items()])
        return
    if table not in SHOWN:
        raise UsageError(
            f"there is no table `{table}`", hint=near(table, SHOWN) or f"there are {', '.join(SHOWN)}"
        )
    rows = matching(SHOWN[table].rows(catalog), tuple(words or ()))
    if as_json:
        output.document({"version": catalog.version, "table": table, "rows": rows})
        return
    if rows:
        kept = [key for key in rows[0] if sources or key != "source"]
        cells = [["-" if row[key] in {None, ""} else str(row[key]) for key in kept] for row in rows]
        output.columns(cells, header=kept)


@app.command()
def check(*, as_json: AsJson = False) -> None:
    """Find holes and contradictions in the catalogue; exit with 1 if there are any."""
    from envbuild.catalog.active import catalog_in_force
    from envbuild.catalog.check import check as check_catalog
    from envbuild.catalog.check import known_holes
    from envbuild.cli.output import Output
    from envbuild.errors import ExitCode

    catalog, output = catalog_in_force(), Output(as_json=as_json)
    flaws = check_catalog(catalog)
    if as_json:
        found = [{"kind": flaw.kind, "where": flaw.where, "message": flaw.message} for flaw in flaws]
        output.document({"version": catalog.version, "flaws": found, "known-holes": dict(known_holes())})
    else:
        output.columns([(f"{flaw.kind}:", flaw.where, flaw.message) for flaw in flaws])
        for where, why in known_holes().items():
            output.say(f"known hole: {where}: {why}")
        output.say(
            f"catalogue {catalog.version}: {len(flaws) or 'no'} {'flaw' if len(flaws) == 1 else 'flaws'}"
        )
    if flaws:
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
    from envbuild.catalog.active import catalog_in_force, update_path
    from envbuild.catalog.update import combined, read_update, require_sound, write_update
    from envbuild.cli.output import Output
    from envbuild.errors import UsageError
    from envbuild.files.atomic import write_text

    output, path = Output(as_json=as_json), update_path()
    if reset:
        if file is not None:
            raise UsageError("--reset takes no file", hint="reset first, then update")
        path.unlink(missing_ok=True)
        _done(output, path, None)
        return
    catalog = catalog_in_force()
    kept = read_update(path.read_text("utf-8")) if path.exists() else {}
    tags = None
    if file is None:
        tags = _from_registry(registry, catalog)
        new = tags.update
    else:
        new = _from_file(file)
    everything = combined(kept, new)
    require_sound(everything)
    write_text(path, write_update(everything))
    _done(output, path, tags)


def _from_file(file: Path) -> "Update":
    from envbuild.catalog.update import read_update
    from envbuild.errors import CatalogError

    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CatalogError(f"{file} is not UTF-8") from error
    try:
        return read_update(text)
    except CatalogError as error:
        raise CatalogError(f"{file}: {error.message}", problems=error.problems) from error


def _from_registry(repository: str, catalog: "Catalog") -> "TagUpdate":
    from envbuild.catalog.update import update_from_tags
    from envbuild.oci.reference import parse_reference
    from envbuild.remote.registry.client import RegistryClient

    reference = parse_reference(repository)
    tags = RegistryClient().all_tags(reference)
    return update_from_tags(tags, source=reference.name, catalog=catalog)


def _done(output: "Output", path: Path, tags: "TagUpdate | None") -> None:
    from envbuild.catalog.active import catalog_in_force

    version = catalog_in_force().version
    if output.as_json:
        changed = None
        if tags is not None:
            changed = {
                "listed": tags.listed,
                "new": list(tags.new),
                "gone": list(tags.gone),
                "passed-over": tags.passed_over,
                "unknown-distributions": list(tags.unknown_distributions),
            }
        output.document({"version": version, "file": str(path), "tags": changed})
        return
    if tags is not None:
        output.say(f"{tags.listed} tags; {_some(tags.new, 'new')}; {_some(tags.gone, 'gone')}")
        if tags.passed_over:
            output.say(f"{tags.passed_over} others are not images of CUDA as they are named today")
        if tags.unknown_distributions:
            names = ", ".join(tags.unknown_distributions)
            output.note(f"the catalogue does not know {names}; their tags were passed over")
    output.data(f"catalogue {version}")


def _some(tags: tuple[str, ...], what: str) -> str:
    """Return how many tags, and the first of them."""
    if not tags:
        return f"none {what}"
    more = ", …" if len(tags) > SOME else ""
    return f"{len(tags)} {what} ({', '.join(tags[:SOME])}{more})"
