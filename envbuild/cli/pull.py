"""`envbuild pull`."""

from typing import Annotated

import typer

from envbuild.cli.options import AsJson, EngineOption, Frozen, PlatformOption, Quiet, SpecPath, Variant


def pull(
    *,
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGE",
            help="REPOSITORY:TAG of another image that envbuild built.  [default: the lock's]",
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
    """Pull the image of the lock from its registry.

    By digest, after its labels were compared with the lock.  What is in it is not compared: that is
    `envbuild verify`.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_if_any, project_of
    from envbuild.workflows.images.transfer import TransferOptions, pull_image

    output = Output(quiet=quiet, as_json=as_json)
    options = TransferOptions(image=image, variant=variant, platform=platform, frozen=frozen, engine=engine)
    project = project_of(spec, frozen=frozen) if image is None else project_if_any(spec)
    with output.activity() as activity:
        result = pull_image(project, options, machine=command_machine(activity))
    verb = "pulled" if result.moved else "the engine has"
    output.say(f"{verb} {result.pinned}, not verified")
    if as_json:
        output.document(result.document())
        return
    output.data(result.reference)
    output.note("`envbuild verify` compares it with its lock")
