"""`envbuild devcontainer`."""

from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.completion import complete_platform, complete_variant
from envbuild.cli.options import AllSpecs, AsJson, Frozen, Quiet, SpecPath, Verbose

if TYPE_CHECKING:
    from envbuild.workflows.devcontainer import DevContainerResult

UNCHANGED = "the dev container is up to date"


def devcontainer(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, ask nobody; exit 1 when a file would change.")
    ] = False,
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant",
            help="Which variant of the spec.",
            show_default="all, each in a folder",
            autocompletion=complete_variant,
        ),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            help="Which platform.",
            show_default="as written last, or this machine's",
            autocompletion=complete_platform,
        ),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Build the image on each machine, even if it is pushed.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite values that were edited where they have to change.")
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", "-U", help="Take the newest release of each feature.")
    ] = False,
    spec: SpecPath = None,
    every: AllSpecs = False,
    frozen: Frozen = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a dev container of the lock.

    What people changed in it stays, comments too.  With --all those that are there are brought up to date,
    and no new one is written.
    """
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.workflows.devcontainer import DevContainerOptions, update_devcontainers, write_devcontainer
    from envbuild.workflows.machine import Machine

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    options = DevContainerOptions(
        check=check,
        variant=variant,
        platform=platform,
        local=local,
        replace=replace,
        upgrade=upgrade,
        frozen=frozen,
    )
    if every:
        from envbuild.cli.many import tell_results
        from envbuild.workflows.many import open_projects

        machine = Machine(progress=output.lines())
        results = update_devcontainers(open_projects(spec, frozen=frozen), options, machine=machine)
        raise typer.Exit(tell_results(output, results, summary=_summary, document=_document))
    with output.activity() as progress:
        project = project_of(spec, frozen=frozen)
        result = write_devcontainer(project, options, machine=Machine(progress=progress))
    for name in result.written:
        output.say(f"wrote {name}")
    if not result.written:
        output.say(UNCHANGED if check else f"{UNCHANGED}; nothing to do")
    if as_json:
        output.document(result.document())


def _summary(result: "DevContainerResult") -> str:
    if not result.files:
        return "has none"
    return f"wrote {', '.join(result.written)}" if result.written else UNCHANGED


def _document(result: "DevContainerResult") -> dict[str, object]:
    return result.document() if result.files else {}
