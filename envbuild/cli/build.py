"""`envbuild build`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from envbuild.cli.options import (
    AllSpecs,
    AsJson,
    Frozen,
    Offline,
    PlatformOption,
    Quiet,
    SpecPath,
    Variant,
    Verbose,
)
from envbuild.errors import UsageError
from envbuild.workflows.engines import EngineOption

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from envbuild.cli.output import Activity, Output
    from envbuild.lock.model import Lock
    from envbuild.workflows.built import Built
    from envbuild.workflows.engines import EngineName
    from envbuild.workflows.outputs import ImageOutput
    from envbuild.workflows.project import Project


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
    from envbuild.cli.output import Output
    from envbuild.workflows.outputs import parse_output
    from envbuild.workflows.project import find_project

    talk = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    wish = _Wish(
        variant=variant,
        platform=platform,
        frozen=frozen,
        engine=engine,
        use_cache=not no_cache,
        pull=pull,
        outputs=tuple(parse_output(text) for text in output or ()),
        load=load,
        push=push,
        check=check,
        compression=compression,
        offline=offline,
    )
    if every:
        raise typer.Exit(_build_all(talk, spec, wish))
    built = _build(find_project(spec, frozen=frozen), wish, talk.activity(progress))
    built.tell(talk)
    if as_json:
        talk.document(built.document())
    else:
        talk.data(built.outcome.reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the command line says of building."""

    variant: str | None
    platform: str | None
    frozen: bool
    engine: "EngineName | None"
    use_cache: bool
    pull: bool
    outputs: "tuple[ImageOutput, ...]"
    load: bool
    push: bool
    check: bool
    compression: Literal["zstd", "gzip"]
    offline: bool


def _build(project: "Project", wish: _Wish, activity: "AbstractContextManager[Activity]") -> "Built":
    from envbuild.workflows.artifacts import build_target, pull_image, push_image
    from envbuild.workflows.built import Built
    from envbuild.workflows.check import check_build
    from envbuild.workflows.engines import ENGINES, choose_engine
    from envbuild.workflows.local import act_as_root, find_locally, load_into_docker, write_output
    from envbuild.workflows.project import choose_target, fresh_lock

    lock = fresh_lock(project, frozen=wish.frozen)
    target = choose_target(lock, variant=wish.variant, platform=wish.platform)
    chosen = choose_engine(wish.engine, project)
    _refuse_contradictions(lock, chosen, wish)
    if chosen == "local" and (
        not wish.use_cache or wish.check or find_locally(lock, target, compression=wish.compression) is None
    ):
        act_as_root()
    with activity as progress:
        if wish.pull:
            pull_image(lock, target, activity=progress)
        outcome = build_target(
            lock,
            target,
            engine=chosen,
            # what a registry gave may be the other engine's: it is the same environment
            made_by=ENGINES if wish.pull else None,
            use_cache=wish.use_cache,
            offline=wish.offline,
            activity=progress,
            compression=wish.compression,
        )
        checked = loaded = pushed = None
        if wish.check:
            checked = check_build(
                lock,
                target,
                outcome,
                engine=chosen,
                offline=wish.offline,
                activity=progress,
                compression=wish.compression,
            )
        for place in wish.outputs:
            write_output(outcome, place, offline=wish.offline, activity=progress)
        if wish.load:
            loaded = load_into_docker(outcome, offline=wish.offline, activity=progress)
        if wish.push:
            pushed = push_image(outcome, engine=chosen, offline=wish.offline, activity=progress)
    return Built(
        outcome=outcome,
        engine=chosen,
        target=target,
        checked=checked,
        outputs=wish.outputs,
        loaded=loaded,
        pushed=pushed,
    )


def _build_all(talk: "Output", spec: "Path | None", wish: _Wish) -> int:
    from contextlib import nullcontext

    from envbuild.cli.many import document, projects_of, tell, work_on
    from envbuild.workflows.local import act_as_root_for

    if wish.outputs:
        raise UsageError("--output names one place, and --all builds many images")
    projects = projects_of(spec, every=True, frozen=wish.frozen)
    act_as_root_for(projects, wish.engine)
    done: dict[Project, Built] = {}

    def work(project: "Project", activity: "Activity") -> str:
        done[project] = built = _build(project, wish, nullcontext(activity))
        verb = "built" if built.outcome.built else "was there"
        return f"{built.outcome.reference} {verb}{', pushed' if built.pushed else ''}"

    results = work_on(projects, work, output=talk)
    if talk.as_json:
        talk.document(document(results, {project: item.document() for project, item in done.items()}))
    else:
        for result in results:
            if result.project in done:
                talk.data(done[result.project].outcome.reference)
    return tell(talk, results)


def _refuse_contradictions(lock: "Lock", engine: "EngineName", wish: _Wish) -> None:
    """Return if the options go together.

    :raises UsageError: they do not.
    """
    if wish.push and not lock.request.repository:
        raise UsageError(
            "there is nowhere to push to", hint="name `repository` under [image] in the spec and lock again"
        )
    if engine != "local" and (wish.outputs or wish.load or wish.compression != "zstd"):
        raise UsageError(
            "--output, --load and --compression are the local engine's",
            hint="use --engine local, or `docker save` for an image of the docker engine",
        )
    if wish.pull and engine == "local":
        raise UsageError(
            "--pull brings an image into the docker engine",
            hint="the local engine has nothing to gain: it keeps its layers, and shares them between images",
        )
    if wish.pull and wish.offline:
        raise UsageError("--pull asks a registry, and --offline asks nobody")
