"""`envbuild export`: a lock in the words of other tools."""

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

app = typer.Typer(help="Export a lock for other tools.", no_args_is_help=True, rich_markup_mode=None)


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
    from envbuild.cli.machine import command_machine
    from envbuild.cli.many import projects_of
    from envbuild.cli.output import Output
    from envbuild.workflows.export import export_bake

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    projects = projects_of(spec, every=every, frozen=frozen)
    with output.activity() as progress:
        machine = command_machine(progress, offline=offline)
        result = export_bake(projects, folder, frozen=frozen, machine=machine)
    if as_json:
        output.document(result.document())
        return
    output.say(f"wrote {folder / result.file}; in that folder, run:")
    output.say("")
    output.data(result.command_line)


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
    from envbuild.cli.project import project_of
    from envbuild.workflows.export import export_conda_lock

    project = project_of(spec, frozen=frozen)
    text = export_conda_lock(project, variant=variant, frozen=frozen, output=output_file)
    _tell(Output(quiet=quiet, verbose=verbose), text, output_file)


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
    from envbuild.cli.project import project_of
    from envbuild.workflows.export import export_explicit

    project = project_of(spec, frozen=frozen)
    text = export_explicit(project, variant=variant, platform=platform, frozen=frozen, output=output_file)
    _tell(Output(quiet=quiet, verbose=verbose), text, output_file)


def _tell(output: "Output", text: str, file: Path | None) -> None:
    if file is None:
        output.raw(text.rstrip("\n"))
    else:
        output.say(f"wrote {file}")
