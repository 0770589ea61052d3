"""`envbuild export`: a lock in the words of other tools."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from envbuild.cli.output import Output

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

    from envbuild.cli.machine import command_machine
    from envbuild.cli.many import projects_of, shown
    from envbuild.cli.output import Output
    from envbuild.files import atomic
    from envbuild.render.bake import FILE, BakeTarget, render_bake, target_names
    from envbuild.workflows.project import fresh_lock
    from envbuild.workflows.render import write_target_folder

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    planned = {}
    for project in projects_of(spec, every=every, frozen=frozen):
        lock = fresh_lock(project, frozen=frozen)
        for target in lock.targets:
            what = f"{target.variant} on {target.platform} of {shown(project)}"
            planned[what] = lock, target
    names = target_names(
        {
            what: (lock.request.name, target.variant, target.platform.partition("/")[2])
            for what, (lock, target) in planned.items()
        }
    )
    targets: list[BakeTarget] = []
    addresses: dict[str, str] = {}
    with output.activity() as activity:
        for what, (lock, target) in planned.items():
            name, machine = names[what], command_machine(activity, offline=offline)
            written = write_target_folder(lock, target, folder / name, machine=machine)
            recipe = written.recipe
            addresses |= {
                argument: value
                for word in written.command
                for argument, _, value in [word.partition("=")]
                if argument in recipe.arguments
            }
            targets.append(
                BakeTarget(
                    name=name,
                    folder=name,
                    reference=written.reference,
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


OutputFile = Annotated[Path | None, typer.Option("--output", "-o", help="File to write.  [default: stdout]")]


@app.command(name="conda-lock")
def conda_lock(
    *,
    output_file: OutputFile = None,
    spec: SpecPath = None,
    variant: Variant = None,
    frozen: Frozen = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a variant, all platforms, as a conda-lock.yml.

    Addresses are those of this machine's configuration, without credentials.  `[conda] files` takes such a
    file over again.
    """
    from envbuild.cli.output import Output
    from envbuild.render.conda_files import render_conda_lock
    from envbuild.store.target_artifacts import channel_addresses, wheel_addresses
    from envbuild.workflows.project import choose_target, fresh_lock, open_project

    output = Output(quiet=quiet, verbose=verbose)
    lock = fresh_lock(open_project(spec, frozen=frozen), frozen=frozen)
    name = variant or lock.request.default_variant
    choose_target(lock, variant=name, platform=lock.request.platforms[0])
    with wheel_addresses(lock, name) as wheel_address_of:
        text = render_conda_lock(
            lock, name, address_of=channel_addresses(os.environ), wheel_address_of=wheel_address_of
        )
    _give(output, text, output_file)


@app.command()
def explicit(
    *,
    output_file: OutputFile = None,
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    frozen: Frozen = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the conda packages of one target as `conda create --file` takes them.

    Python packages of [pip] are not in it.
    """
    from envbuild.cli.output import Output
    from envbuild.render.conda_files import no_conda, render_explicit, subdir_of
    from envbuild.store.target_artifacts import channel_addresses
    from envbuild.workflows.project import choose_target, fresh_lock, open_project

    output = Output(quiet=quiet, verbose=verbose)
    lock = fresh_lock(open_project(spec, frozen=frozen), frozen=frozen)
    target = choose_target(lock, variant=variant, platform=platform)
    if not target.conda:
        raise no_conda(target.variant)
    text = render_explicit(lock.conda_of(target), subdir_of(target), address_of=channel_addresses(os.environ))
    _give(output, text, output_file)


def _give(output: "Output", text: str, file: Path | None) -> None:
    from envbuild.files import atomic

    if file is None:
        output.data(text.rstrip("\n"))
        return
    atomic.write_text(file, text)
    output.say(f"wrote {file}")
