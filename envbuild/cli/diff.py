"""`envbuild diff`."""

from typing import Annotated

import typer

from envbuild.cli.options import AsJson, EngineOption, Quiet, SpecPath

OLD = typer.Argument(
    help="A lock or its folder, a git revision, REVISION:PATH, or an image.",
    show_default="HEAD",
)
NEW = typer.Argument(help="The same forms as OLD.", show_default="the project's lock")


def diff(
    *,
    old: Annotated[str | None, OLD] = None,
    new: Annotated[str | None, NEW] = None,
    spec: SpecPath = None,
    engine: EngineOption = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write Markdown, for a pull request.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when they differ.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what changed between two locks.

    Packages by kind, CUDA and drivers, the base, variables and sizes; only what makes images differ.
    """
    from envbuild.cli.output import Output
    from envbuild.cli.text.diff import as_markdown, as_text
    from envbuild.errors import ExitCode, UsageError
    from envbuild.workflows.diff import diff_locks, open_compared

    output = Output(quiet=quiet, as_json=as_json)
    if markdown and as_json:
        raise UsageError("--markdown and --json are two forms of one answer: choose one")
    found = diff_locks(open_compared(spec).as_named(), old, new, engine=engine)
    if as_json:
        output.document(found.document())
    elif markdown:
        output.page(as_markdown(found))
    elif found.differs:
        output.page(as_text(found))
    else:
        output.say(f"{found.old} and {found.new} make the same images")
    if exit_code and found.differs:
        raise typer.Exit(ExitCode.FAILURE)
