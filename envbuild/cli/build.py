"""`envbuild build`."""

from typing import Annotated, Literal

import typer

from envbuild.cli.next_step import tell_next
from envbuild.cli.options import (
    AllSpecs,
    AsJson,
    EngineOption,
    Frozen,
    LockFirst,
    Offline,
    PlatformOption,
    Quiet,
    SpecPath,
    Variant,
    Verbose,
)


def build(
    *,
    spec: SpecPath = None,
    every: AllSpecs = False,
    variant: Variant = None,
    platform: PlatformOption = None,
    frozen: Frozen = False,
    lock: LockFirst = False,
    engine: EngineOption = None,
    pull: Annotated[
        bool,
        typer.Option("--pull", help="Bring the image into the engine from its registry, if it is there."),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Compare the image in the registry with the lock; exit 8 if it differs."
        ),
    ] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run every step again, and build even when the image exists.")
    ] = False,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the image to oci:FOLDER or archive:FILE too; with the local engine.",
            show_default=False,
        ),
    ] = None,
    load: Annotated[
        bool, typer.Option("--load", help="Load the local engine's image into the Docker Engine.")
    ] = False,
    push: Annotated[bool, typer.Option("--push", help="Push the image to `[image] repository`.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Rebuild under different conditions; exit 8 if the image differs."),
    ] = False,
    compression: Annotated[
        Literal["zstd", "gzip"],
        typer.Option(
            "--compression",
            help="Compression of the local engine's layers. Use gzip for Docker older than 23.0.",
        ),
    ] = "zstd",
    progress: Annotated[
        Literal["auto", "plain", "none"],
        typer.Option("--progress", help="How to show the build: auto is a live line on a terminal."),
    ] = "auto",
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Build the image of the lock.

    Prints its reference; there is nothing to do when its registry or the engine has it.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.cli.text.build import lines_of, notes_of, summary_of
    from envbuild.workflows.build import BuildOptions, BuildResult, build_image, build_images

    talk = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    options = BuildOptions(
        variant=variant,
        platform=platform,
        frozen=frozen,
        lock=lock,
        engine=engine,
        use_cache=not no_cache,
        pull=pull,
        verify=verify,
        outputs=tuple(output or ()),
        load=load,
        push=push,
        check=check,
        compression=compression,
    )
    if not every:
        project = project_of(spec, frozen=frozen)
        with talk.activity(progress) as activity:
            machine = command_machine(activity, offline=offline)
            result = build_image(project, options, machine=machine)
        for line in lines_of(result):
            talk.say(line)
        for note in notes_of(result):
            talk.note(note)
        if as_json:
            talk.document(result.document())
        else:
            talk.data(result.reference)
        tell_next(talk, project, "verify", like=options)
        return

    from envbuild.cli.many import tell_results
    from envbuild.workflows.many import open_projects

    machine = command_machine(None if progress == "none" else talk.lines(), offline=offline)
    results = build_images(open_projects(spec, frozen=frozen), options, machine=machine)
    for done in results if not as_json else ():
        if done.value:
            talk.data(done.value.reference)
    raise typer.Exit(tell_results(talk, results, summary=summary_of, document=BuildResult.document))
