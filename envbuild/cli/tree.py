"""`envbuild tree`."""

from typing import Annotated

import typer

from envbuild.cli.completion import complete_package
from envbuild.cli.options import AsJson, PackageKindOption, PlatformOption, SpecPath, Variant


def tree(
    *,
    packages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PACKAGE",
            help="Begin with these packages.",
            show_default=False,
            autocompletion=complete_package,
        ),
    ] = None,
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    kind: PackageKindOption = None,
    depth: Annotated[
        int | None,
        typer.Option("--depth", "-d", min=0, help="Levels to show below the first.", show_default="all"),
    ] = None,
    invert: Annotated[
        bool, typer.Option("--invert", help="Show what requires the packages, instead of what they require.")
    ] = False,
    sizes: Annotated[
        bool,
        typer.Option("--sizes", help="Show the download size of each package, and with what it requires."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show locked packages as a tree.

    It begins with what the spec asks for.  Reads the lock alone: no network, no engine, no cache.
    """
    import sys

    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.workflows.packages.tree import TreeOptions, package_tree

    output = Output(as_json=as_json)
    options = TreeOptions(
        packages=frozenset(packages or ()),
        depth=depth,
        invert=invert,
        kind=kind,
        variant=variant,
        platform=platform,
    )
    found = package_tree(project_of(spec, frozen=True), options)
    if as_json:
        output.document(found.document())
        return
    from envbuild.cli.text.tree import as_text

    for line in as_text(found, encoding=sys.stdout.encoding, sizes=sizes):
        output.data(line)
