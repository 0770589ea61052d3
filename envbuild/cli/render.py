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
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.workflows.render import RenderOptions, render_recipe, write_recipe_folder

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    project = project_of(spec, frozen=frozen)
    options = RenderOptions(variant=variant, platform=platform, frozen=frozen)
    if output_folder is None:
        recipe = render_recipe(project, options)
        dockerfile = recipe.files["Dockerfile"].decode()
        if as_json:
            output.document({"dockerfile": dockerfile, "target": recipe.digest})
        else:
            output.raw(dockerfile.rstrip("\n"))
        return
    with output.activity() as activity:
        machine = command_machine(activity, offline=offline)
        written = write_recipe_folder(project, output_folder, options, machine=machine)
    if as_json:
        output.document(written.document())
    else:
        output.say(f"wrote {output_folder}; build it with:")
        output.say("")
        output.data(shlex.join(written.command))
