"""`envbuild render`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from envbuild.cli.options import AsJson, Frozen, Offline, PlatformOption, Quiet, SpecPath, Variant, Verbose


def render(
    *,
    output_folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write to.  [default: the Dockerfile on stdout]"),
    ] = None,
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    frozen: Frozen = False,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the Dockerfile of the lock.

    With --output, the whole folder that plain `docker buildx build` makes the image of.
    """
    from envbuild.cli.output import Output
    from envbuild.workflows.artifacts import recipe_of, write_folder
    from envbuild.workflows.project import choose_target, find_project, fresh_lock

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    lock = fresh_lock(find_project(spec, frozen=frozen), frozen=frozen)
    target = choose_target(lock, variant=variant, platform=platform)
    recipe = recipe_of(lock, target)
    if output_folder is None:
        dockerfile = recipe.files["Dockerfile"].decode()
        if as_json:
            output.document({"dockerfile": dockerfile, "target": recipe.digest})
        else:
            output.data(dockerfile.rstrip("\n"))
        return
    with output.activity() as activity:
        command = write_folder(lock, target, recipe, output_folder, offline=offline, activity=activity)
    if as_json:
        output.document({"folder": str(output_folder), "command": list(command), "target": recipe.digest})
    else:
        output.say(f"wrote {output_folder}; build it with:\n")
        output.data(shlex.join(command))
