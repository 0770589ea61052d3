"""`envbuild export`: a lock in the words of other tools."""

from pathlib import Path
from typing import Annotated

import typer

from envbuild.cli.options import AllSpecs, AsJson, Frozen, Offline, Quiet, SpecPath, Verbose

app = typer.Typer(
    help="Write a lock in the words of other tools.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def bake(
    *,
    folder: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for docker-bake.json and what it builds.")
    ] = Path("bake"),
    every: AllSpecs = False,
    spec: SpecPath = None,
    frozen: Frozen = False,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write what `docker buildx bake` builds all images of.

    All variants and platforms, on any BuildKit: a remote one, a container, Kubernetes.  Addresses of the
    index and the mirrors are variables; the command is printed with those of this machine.
    """
    import shlex

    from envbuild import atomic
    from envbuild.cli.many import projects_of
    from envbuild.cli.output import Output
    from envbuild.cli.project import fresh_lock
    from envbuild.cli.wiring import recipe_of, write_folder
    from envbuild.image.reference import image_reference_for
    from envbuild.render.bake import FILE, BakeTarget, render_bake, target_name

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    targets: list[BakeTarget] = []
    addresses: dict[str, str] = {}
    with output.activity() as activity:
        for project in projects_of(spec, every=every, frozen=frozen):
            lock = fresh_lock(project, frozen=frozen)
            for target in lock.targets:
                recipe = recipe_of(lock, target)
                name = target_name(lock.request.name, target.variant, target.platform.partition("/")[2])
                command = write_folder(
                    lock, target, recipe, folder / name, offline=offline, activity=activity
                )
                addresses |= {
                    argument: value
                    for word in command
                    for argument, _, value in [word.partition("=")]
                    if argument in recipe.arguments
                }
                targets.append(
                    BakeTarget(
                        name=name,
                        folder=name,
                        reference=image_reference_for(lock, target),
                        platform=target.platform,
                        epoch=recipe.epoch,
                        arguments=recipe.arguments,
                    )
                )
    atomic.write_text(folder / FILE, render_bake(targets))
    words = ["docker", "buildx", "bake", "--file", FILE]
    if as_json:
        output.document(
            {
                "folder": str(folder),
                "file": FILE,
                "variables": addresses,
                "targets": {target.name: target.reference for target in targets},
                "command": words,
            }
        )
        return
    output.say(f"wrote {folder / FILE}; in that folder, run:\n")
    given = [f"{name}={shlex.quote(value)}" for name, value in sorted(addresses.items())]
    output.data(" ".join([*given, shlex.join(words)]))
