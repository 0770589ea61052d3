"""`envbuild cache`."""

import math
import os
import sys
from typing import Annotated

import typer

from envbuild.cli.options import AsJson

GIGABYTE = 1_000_000_000

app = typer.Typer(help="Show or tidy the cache.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def info(*, as_json: AsJson = False) -> None:
    """Show where the cache is and what it holds."""
    from envbuild.cache.location import cache_folder
    from envbuild.cache.prune import usage
    from envbuild.cli.output import Output
    from envbuild.files.sizes import readable_size
    from envbuild.store.store import Store

    output = Output(as_json=as_json)
    folder = cache_folder()
    rows = usage(Store(folder))
    if as_json:
        output.document({"folder": str(folder), "kinds": {row.kind: row.size for row in rows}})
        return
    output.data(str(folder))
    output.table([(row.kind, str(row.files), readable_size(row.size)) for row in rows])


@app.command()
def prune(
    *,
    older_than: Annotated[
        float | None, typer.Option("--older-than", help="Remove what was not used for this many days.")
    ] = None,
    max_size: Annotated[
        float | None,
        typer.Option("--max-size", help="Remove the longest unused down to this many gigabytes."),
    ] = None,
) -> None:
    """Remove artifacts and layers nobody used for long.

    What is removed is fetched or made again when it is needed.
    """
    from envbuild.cache.location import cache_folder
    from envbuild.cache.prune import prune as prune_store
    from envbuild.cli.output import Output
    from envbuild.errors import UsageError
    from envbuild.files.sizes import readable_size
    from envbuild.image.local.layers.base_store import BaseShelf
    from envbuild.image.local.layers.file_conflicts import WheelTreeCache
    from envbuild.image.local.layers.steps import ROOTS
    from envbuild.image.local.layers.store import LayerStore
    from envbuild.image.local.roots.private_root import RootShelf
    from envbuild.image.local.roots.unpacked_layers import FOLDER as TREES
    from envbuild.image.local.roots.unpacked_layers import LayerTrees
    from envbuild.store.store import Store
    from envbuild.workflows.privileges import restart_program

    if older_than is None and max_size is None:
        raise UsageError("nothing says what to remove", hint="give --older-than DAYS or --max-size GIGABYTES")
    for option, value in (("--older-than", older_than), ("--max-size", max_size)):
        # written so that nan, which is neither more nor less than anything, is refused too
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"{option} must be 0 or more, not {value:g}")
    limit = None if max_size is None else int(max_size * GIGABYTE)
    folder = cache_folder()
    if any(folder.glob(f"{TREES}*/")) and os.geteuid() != 0:
        # their files belong to subordinate ids
        restart_program(sys.argv[1:], os.environ)
    shelves = (
        LayerStore(folder),
        WheelTreeCache(folder),
        LayerTrees(folder),
        BaseShelf(folder),
        RootShelf(folder / ROOTS),
    )
    removed = prune_store(Store(folder), older_than_days=older_than, max_bytes=limit, shelves=shelves)
    Output().say(f"removed {removed.files} files, {readable_size(removed.size)}")
