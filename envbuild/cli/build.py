"""`envbuild build`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from envbuild.cli.engines import EngineOption
from envbuild.cli.options import AsJson, Frozen, Offline, PlatformOption, Quiet, SpecPath, Variant, Verbose
from envbuild.errors import UsageError

if TYPE_CHECKING:
    from envbuild.cli.engines import EngineName
    from envbuild.lock.model import Lock


def build(
    *,
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    frozen: Frozen = False,
    engine: EngineOption = None,
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
    from envbuild.cli.built import Built
    from envbuild.cli.check import check_build
    from envbuild.cli.engines import choose_engine
    from envbuild.cli.local import load_into_docker, write_output
    from envbuild.cli.output import Output
    from envbuild.cli.outputs import parse_output
    from envbuild.cli.project import choose_target, find_project, fresh_lock
    from envbuild.cli.wiring import build_target, push_image

    talk = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    project = find_project(spec, frozen=frozen)
    lock = fresh_lock(project, frozen=frozen)
    target = choose_target(lock, variant=variant, platform=platform)
    chosen = choose_engine(engine, project)
    outputs = tuple(parse_output(text) for text in output or ())
    _refuse_contradictions(lock, chosen, push=push, of_local=bool(outputs) or load or compression != "zstd")
    with talk.activity(progress) as activity:
        outcome = build_target(
            lock,
            target,
            engine=chosen,
            use_cache=not no_cache,
            offline=offline,
            activity=activity,
            compression=compression,
        )
        checked = loaded = None
        if check:
            checked = check_build(
                lock,
                target,
                outcome,
                engine=chosen,
                offline=offline,
                activity=activity,
                compression=compression,
            )
        for place in outputs:
            write_output(outcome, place, offline=offline, activity=activity)
        if load:
            loaded = load_into_docker(outcome, offline=offline, activity=activity)
        pushed = push_image(outcome, engine=chosen, offline=offline, activity=activity) if push else None
    built = Built(
        outcome=outcome,
        engine=chosen,
        target=target,
        checked=checked,
        outputs=outputs,
        loaded=loaded,
        pushed=pushed,
    )
    built.tell(talk)
    if as_json:
        talk.document(built.document())
    else:
        talk.data(outcome.reference)


def _refuse_contradictions(lock: "Lock", engine: "EngineName", *, push: bool, of_local: bool) -> None:
    """Return if the options go together.

    :raises UsageError: they do not.
    """
    if push and not lock.request.repository:
        raise UsageError(
            "there is nowhere to push to", hint="name `repository` under [image] in the spec and lock again"
        )
    if engine != "local" and of_local:
        raise UsageError(
            "--output, --load and --compression are the local engine's",
            hint="use --engine local, or `docker save` for an image of the docker engine",
        )
