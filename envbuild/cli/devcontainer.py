"""`envbuild devcontainer`."""

from typing import Annotated

import typer

from envbuild.cli.options import AsJson, Frozen, Quiet, SpecPath, Verbose


def devcontainer(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, ask nobody; exit 1 when a file would change.")
    ] = False,
    variant: Annotated[
        str | None,
        typer.Option("--variant", help="Which variant of the spec.", show_default="all, each in a folder"),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option("--platform", help="Which platform.", show_default="as written last, or this machine's"),
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
    frozen: Frozen = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a dev container of the lock.

    What people changed in it stays, comments too.
    """
    from envbuild.cli.devcontaining import Choices, plan_configurations, write
    from envbuild.cli.output import Output
    from envbuild.cli.project import find_project, fresh_lock
    from envbuild.errors import EnvbuildError, UsageError

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    if check and (replace or upgrade):
        raise UsageError("--check writes nothing, so there is nothing to replace or to upgrade")
    project = find_project(spec, frozen=frozen)
    lock = fresh_lock(project, frozen=frozen)
    choices = Choices(
        variant=variant, platform=platform, local=local, replace=replace, upgrade=upgrade, asks=not check
    )
    with output.activity() as activity:
        plan = plan_configurations(project, lock, choices, activity)
    changed = [path.relative_to(project.folder).as_posix() for path in plan.changed]
    if check:
        if changed:
            raise EnvbuildError(
                "the dev container is not what lock and spec say",
                hint="run `envbuild devcontainer`",
                detail=plan.difference(project.folder),
            )
        output.say("the dev container is what lock and spec say")
    else:
        write(plan)
        for name in changed:
            output.say(f"wrote {name}")
        if not changed:
            output.say("the dev container is what lock and spec say; nothing to do")
    if as_json:
        files = [path.relative_to(project.folder).as_posix() for path in plan.texts]
        output.document({"files": sorted(files), "written": [] if check else changed})
