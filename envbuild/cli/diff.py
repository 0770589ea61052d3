"""`envbuild diff`."""

from typing import Annotated

import typer

from envbuild.cli.options import AsJson, Quiet, SpecPath

OLD = typer.Argument(
    help="A lock or its folder, a git revision, REVISION:PATH, or an image.", show_default="HEAD"
)
NEW = typer.Argument(help="Likewise.", show_default="the lock as it lies there")


def diff(
    *,
    old: Annotated[str, OLD] = "HEAD",
    new: Annotated[str | None, NEW] = None,
    spec: SpecPath = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write Markdown, for a pull request.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when they differ.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what changed between two locks.

    Packages by kind, CUDA and drivers, the base, variables and sizes; only what makes images differ.
    """
    from envbuild.cli.differences import as_document, as_markdown, as_text
    from envbuild.cli.output import Output
    from envbuild.errors import ExitCode, UsageError
    from envbuild.lock.diff import diff_projections
    from envbuild.workflows.diff import lock_now, place_of, read_side, shared_targets

    output = Output(quiet=quiet, as_json=as_json)
    if markdown and as_json:
        raise UsageError("--markdown and --json are two forms of one answer: choose one")
    project = place_of(spec)
    before = read_side(old, project)
    after = read_side(new, project) if new is not None else lock_now(project)
    if before.is_image or after.is_image:
        before, after = shared_targets(before, after)
    found = diff_projections(before.projections, after.projections)
    if as_json:
        output.document(as_document(found, old=before.label, new=after.label))
    elif markdown:
        output.data(as_markdown(found, old=before.label, new=after.label))
    elif found.differs:
        output.data(as_text(found))
    else:
        output.say(f"{before.label} and {after.label} make the same images")
    if exit_code and found.differs:
        raise typer.Exit(ExitCode.FAILURE)
