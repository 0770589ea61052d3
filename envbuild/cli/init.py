"""`envbuild init`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AsJson, Quiet, Verbose

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.init import InitResult


def init(
    *,
    folder: Annotated[
        Path, typer.Argument(help="Folder to look at and to write to.", show_default="here")
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
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a spec from what a folder holds.

    Reads requirements.txt, pyproject.toml, environment.yml, apt.txt; overwrites nothing.
    """
    from envbuild.cli.output import Output
    from envbuild.errors import SpecError
    from envbuild.workflows.init import InitOptions, init_project

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    options = InitOptions(
        name=name,
        python=python,
        extras=tuple(extra or ()),
        groups=tuple(group or ()),
        all_extras=all_extras,
        all_groups=all_groups,
    )
    result = init_project(folder, options)
    _tell(output, result)
    if result.problems:
        raise SpecError(
            f"wrote {result.spec}, which cannot be locked as it is",
            problems=result.problems,
            hint="put these right by hand",
        )


def _tell(output: "Output", result: "InitResult") -> None:
    if output.as_json:
        output.document(result.document())
        return
    output.table([("took", taken.file, taken.what) for taken in result.taken])
    for problem in result.left:
        output.note(str(problem))
        if problem.hint:
            output.say(f"      {problem.hint}")
    if not result.problems:
        output.say(f"wrote {result.spec}; next: envbuild lock")
