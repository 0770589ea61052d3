"""`envbuild init`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.next_step import tell_next
from envbuild.cli.options import AsJson, Offline, Quiet, Verbose

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.adoption.init import InitResult


def init(
    *,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|SCRIPT|LOCK",
            help="Folder to look at and to write to; or one script, or another tool's lock.",
            show_default="here",
        ),
    ] = Path(),
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the environment.", show_default="the project's")
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", help="Python version.", show_default="as the files say")
    ] = None,
    extra: Annotated[
        list[str] | None, typer.Option("--extra", help="Take this extra of pyproject.toml too.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Take this group of pyproject.toml too.")
    ] = None,
    all_extras: Annotated[bool, typer.Option("--all-extras", help="Take every extra.")] = False,
    all_groups: Annotated[bool, typer.Option("--all-groups", help="Take every group.")] = False,
    base: Annotated[str | None, typer.Option("--base", help="Base image, such as python:3.12-slim.")] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Compute on GPUs: write a [gpu] table.")] = False,
    template: Annotated[
        str | None,
        typer.Option(
            "--template", help="A spec from nothing: pytorch, jax, tensorflow, huggingface or sklearn."
        ),
    ] = None,
    from_environment: Annotated[
        Path | None,
        typer.Option(
            "--from-environment",
            metavar="FOLDER",
            help="Take the packages of this virtual or conda environment.",
        ),
    ] = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a spec from what a folder holds.

    Reads requirements files, pyproject.toml, setup.py, Pipfile, environment.yml, apt.txt and locks of other
    tools; runs nothing, overwrites nothing.
    """
    from envbuild.cli.output import Output
    from envbuild.errors import SpecError
    from envbuild.workflows.adoption.init import InitOptions, init_project
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    options = InitOptions(
        name=name,
        python=python,
        extras=tuple(extra or ()),
        groups=tuple(group or ()),
        all_extras=all_extras,
        all_groups=all_groups,
        base=base,
        gpu=gpu,
        template=template,
        from_environment=from_environment,
    )
    result = init_project(path, options, machine=Machine(offline=offline))
    if as_json:
        output.document(result.document())
    else:
        tell_init(output, result)
    if result.problems:
        raise SpecError(
            f"wrote {result.spec}, which cannot be locked as it is",
            problems=result.problems,
            hint="put these right by hand",
        )
    tell_next(output, Project(result.spec), "lock")


def tell_init(output: "Output", result: "InitResult") -> None:
    """Say what a first spec was made of, and what was left out."""
    output.table([("took", taken.file, taken.what) for taken in result.taken])
    for problem in result.left:
        output.note(str(problem))
        if problem.hint:
            output.say(f"      {problem.hint}")
    if not result.problems:
        output.say(f"wrote {result.spec}")
