"""`envbuild why`."""

from typing import Annotated

import typer

from envbuild.cli.completion import complete_package
from envbuild.cli.options import AsJson, PackageKindOption, SpecPath

MOST_CHAINS = 10
"""How many chains are shown unless another number is asked for."""


def why(
    *,
    package: Annotated[
        str,
        typer.Argument(help="Name of a Python, conda or Debian package.", autocompletion=complete_package),
    ],
    spec: SpecPath = None,
    variant: Annotated[
        str | None, typer.Option("--variant", help="Which variant of the spec.", show_default="all")
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option("--platform", help="Which platform, such as linux/amd64.", show_default="all"),
    ] = None,
    kind: PackageKindOption = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=0, help="Most chains to show; 0: all.", show_default="10"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain why a package is in the lock.

    Shows each chain of requirements from what the spec asks for to the package, the shortest first, and what
    keeps newer versions out.  Reads the lock alone: no network, no engine, no cache.
    """
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.workflows.packages.why import WhyOptions, why_package

    output = Output(as_json=as_json)
    options = WhyOptions(kind=kind, variant=variant, platform=platform)
    found = why_package(project_of(spec, frozen=True), package, options)
    if as_json:
        output.document(found.document())
        return
    from envbuild.cli.text.why import as_text

    for line in as_text(found, limit=MOST_CHAINS if limit is None else limit or None):
        output.data(line)
