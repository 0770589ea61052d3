"""`envbuild build`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from envbuild.cli.options import (
    AllSpecs,
    AsJson,
    EngineOption,
    Frozen,
    Offline,
    PlatformOption,
    Quiet,
    SpecPath,
    Variant,
    Verbose,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envbuild.workflows.build import BuildResult


def build(
    *,
    spec: SpecPath = None,
    every: AllSpecs = False,
    variant: Variant = None,
    platform: PlatformOption = None,
    frozen: Frozen = False,
    engine: EngineOption = None,
    pull: Annotated[
        bool,
        typer.Option("--pull", help="Take the image from its registry, if it is there, and do not build it."),
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
        typer.Option(
            "--check", help="Build again in other circumstances; exit with 8 if it comes out otherwise."
        ),
    ] = False,
    compression: Annotated[
        Literal["zstd", "gzip"],
        typer.Option("--compression", help="Of layers of the local engine: gzip for engines before 23.0."),
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

    Prints its reference; there is nothing to do when the engine has it.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.workflows.build import BuildOptions, BuildResult, build_image, build_images

    talk = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    options = BuildOptions(
        variant=variant,
        platform=platform,
        frozen=frozen,
        engine=engine,
        use_cache=not no_cache,
        pull=pull,
        outputs=tuple(output or ()),
        load=load,
        push=push,
        check=check,
        compression=compression,
    )
    if not every:
        with talk.activity(progress) as activity:
            machine = command_machine(activity, offline=offline)
            project = project_of(spec, frozen=frozen)
            result = build_image(project, options, machine=machine)
        for line in _lines(result):
            talk.say(line)
        for note in result.checked.notes if result.checked else ():
            talk.note(note)
        if as_json:
            talk.document(result.document())
        else:
            talk.data(result.reference)
        return

    from envbuild.cli.many import tell_results
    from envbuild.workflows.many import open_projects

    machine = command_machine(None if progress == "none" else talk.lines(), offline=offline)
    results = build_images(open_projects(spec, frozen=frozen), options, machine=machine)
    for done in results if not as_json else ():
        if done.value:
            talk.data(done.value.reference)
    raise typer.Exit(tell_results(talk, results, summary=_summary, document=BuildResult.document))


def _lines(result: "BuildResult") -> "Iterator[str]":
    from envbuild.workflows.sizes import readable_size

    yield f"built {result.reference}" if result.built else f"{result.reference} exists; nothing to do"
    if result.checked:
        yield f"it came out the same again, with another {', '.join(result.checked.varied)}"
    for output in result.outputs:
        yield f"wrote {output}"
    if result.loaded:
        sent = f"by {result.loaded.way}, {readable_size(result.loaded.size)}"
        has_it = "has it already" if result.loaded.way == "there" else f"was sent it {sent}"
        yield f"the docker engine {has_it}"
    if result.pushed:
        yield f"pushed {result.reference}@{result.pushed}"


def _summary(result: "BuildResult") -> str:
    verb = "built" if result.built else "was there"
    return f"{result.reference} {verb}{', pushed' if result.pushed else ''}"
