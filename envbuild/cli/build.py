"""`envbuild build`."""

from typing import Annotated, Literal

import typer

from envbuild.cli.options import AsJson, Frozen, Offline, PlatformOption, Quiet, SpecPath, Variant, Verbose


def build(
    *,
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    frozen: Frozen = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run every step again, and build even when the image exists.")
    ] = False,
    push: Annotated[bool, typer.Option("--push", help="Push the image to `[image] repository`.")] = False,
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
    from envbuild.cli.project import choose_target, find_project, fresh_lock
    from envbuild.cli.wiring import build_target, push_image
    from envbuild.errors import UsageError

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    project = find_project(spec, frozen=frozen)
    lock = fresh_lock(project, frozen=frozen)
    target = choose_target(lock, variant=variant, platform=platform)
    if push and not lock.request.repository:
        raise UsageError(
            "there is nowhere to push to", hint="name `repository` under [image] in the spec and lock again"
        )
    with output.activity(progress) as activity:
        outcome = build_target(lock, target, use_cache=not no_cache, offline=offline, activity=activity)
        pushed = push_image(outcome, activity=activity) if push else None
    if outcome.built:
        output.say(f"built {outcome.reference}")
    else:
        output.say(f"{outcome.reference} exists; nothing to do")
    if pushed:
        output.say(f"pushed {outcome.reference}@{pushed}")
    if as_json:
        output.document(
            {
                "reference": outcome.reference,
                "image": outcome.image.identifier,
                "built": outcome.built,
                "pushed": pushed,
                "size": outcome.image.size,
                "target": outcome.image.labels["dev.envbuild.target"],
                "variant": target.variant,
                "platform": target.platform,
            }
        )
    else:
        output.data(outcome.reference)
