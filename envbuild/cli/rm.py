"""`envbuild rm`."""

from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AsJson, EachEngine, Quiet, SpecPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envbuild.cli.output import Output
    from envbuild.workflows.images.listing import ListedImage


def remove(
    *,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="REPOSITORY:TAG, the tag alone, or the first digits of the ID.",
            show_default=False,
        ),
    ] = None,
    unused: Annotated[
        bool, typer.Option("--unused", help="Images of this project that its lock no longer makes.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="All images that envbuild built, of all environments.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before removing several.")] = False,
    spec: SpecPath = None,
    engine: EachEngine = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Remove images from the engines that hold them.

    Images of other programs are never removed, and neither is one that a container uses.  What another image
    needs stays.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_if_any
    from envbuild.workflows.images.removal import RemovalOptions, images_to_remove, remove_images

    output = Output(quiet=quiet, as_json=as_json)
    options = RemovalOptions(images=tuple(images or ()), unused=unused, every=every, engine=engine)
    machine = command_machine(output.lines())
    chosen = images_to_remove(project_if_any(spec), options, machine=machine)
    if chosen and not yes and not options.images:
        _ask(output, chosen)
    result = remove_images(chosen, machine=command_machine())
    for image in result.removed:
        output.say(f"removed {image.reference} from {image.engine}")
    if not chosen:
        output.say("there is nothing to remove")
    if as_json:
        output.document(result.document())
    for _, error in result.failed:
        output.error(error)
    if result.failed:
        raise typer.Exit(result.failed[0][1].exit_code)


def _ask(output: "Output", chosen: "Sequence[ListedImage]") -> None:
    """Return if a person says yes.

    :raises UsageError: nobody is there to ask.
    """
    from envbuild.cli.images import HEADER, row
    from envbuild.cli.question import can_ask, confirm
    from envbuild.errors import UsageError
    from envbuild.workflows.sizes import counted

    if not can_ask(output):
        raise UsageError(
            f"{counted(len(chosen), 'image')} would be removed, and nobody is there to ask",
            hint="add --yes; `envbuild images` lists them",
        )
    output.table([row(image) for image in chosen], header=HEADER)
    if not confirm(output, f"remove {counted(len(chosen), 'image')}?"):
        output.say("nothing was removed")
        raise typer.Exit
