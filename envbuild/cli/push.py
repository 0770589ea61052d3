"""`envbuild push`."""

from typing import Annotated

import typer

from envbuild.cli.options import AsJson, EngineOption, Frozen, PlatformOption, Quiet, SpecPath, Variant


def push(
    *,
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGE",
            help="Another image that envbuild built.  [default: the lock's]",
            show_default=False,
        ),
    ] = None,
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    frozen: Frozen = False,
    engine: EngineOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Push the image of the lock to its registry.

    Pushes what the engine holds, and builds nothing: that is `envbuild build --push`.  A tag that
    names another image is never changed.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_if_any, project_of
    from envbuild.workflows.images.transfer import TransferOptions, push_image

    output = Output(quiet=quiet, as_json=as_json)
    options = TransferOptions(image=image, variant=variant, platform=platform, frozen=frozen, engine=engine)
    project = project_of(spec, frozen=frozen) if image is None else project_if_any(spec)
    with output.activity() as activity:
        result = push_image(project, options, machine=command_machine(activity))
    output.say(f"pushed {result.pinned}" if result.moved else f"{result.pinned} is there; nothing to do")
    if as_json:
        output.document(result.document())
    else:
        output.data(result.pinned)
