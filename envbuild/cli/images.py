"""`envbuild images`."""

from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AsJson, EachEngine, Quiet, SpecPath

if TYPE_CHECKING:
    from envbuild.workflows.images.listing import ListedImage

HEADER = ("image", "environment", "variant", "platform", "engine", "size", "used", "")


def images(
    *,
    spec: SpecPath = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Images of all environments, not of this project alone.")
    ] = False,
    engine: EachEngine = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the images that envbuild built and engines hold.

    Those of the project in this folder; without a spec, all.  The ones that the lock makes today are marked.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_if_any
    from envbuild.workflows.images.listing import ImagesOptions, list_images
    from envbuild.workflows.sizes import counted

    output = Output(quiet=quiet, as_json=as_json)
    options = ImagesOptions(every=every, engine=engine)
    found = list_images(project_if_any(spec), options, machine=command_machine())
    if as_json:
        output.document(found.document())
        return
    if found.images:
        output.columns((row(image) for image in found.images), header=HEADER)
    else:
        output.say("no engine holds an image of this project" if found.others else "there are no images")
    if found.others:
        output.say(f"{counted(found.others, 'image')} of other environments: `envbuild images --all`")
    for reason in found.unreachable:
        output.note(reason)


def row(image: "ListedImage") -> tuple[str, ...]:
    """Return an image as a row of a table."""
    from datetime import UTC, datetime

    from envbuild.workflows.sizes import readable_size

    used = datetime.fromtimestamp(image.used, UTC).strftime("%Y-%m-%d") if image.used else "-"
    return (
        image.reference,
        image.name,
        image.variant,
        image.platform,
        image.engine,
        readable_size(image.size),
        used,
        "of the lock" if image.is_current else "",
    )
