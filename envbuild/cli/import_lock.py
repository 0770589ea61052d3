"""`envbuild import`."""

from pathlib import Path
from typing import Annotated

import typer

from envbuild.cli.next_step import tell_next
from envbuild.cli.options import AsJson, Quiet, Verbose


def import_lock(
    *,
    lock: Annotated[
        Path,
        typer.Argument(
            metavar="LOCK",
            help="uv.lock, poetry.lock, pdm.lock, Pipfile.lock, pylock.toml, or pinned requirements.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the environment.", show_default="the project's")
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", help="Python version.", show_default="as the lock says")
    ] = None,
    extra: Annotated[
        list[str] | None, typer.Option("--extra", help="Take this extra of the project too.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Take this group of the project too.")
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="Base image, such as python:3.12-slim.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Take over another tool's lock, with its versions.

    Writes a spec that names the lock, and locks it; says which versions could not be kept, and why.
    """
    from envbuild.cli.init import tell_init
    from envbuild.cli.output import Output
    from envbuild.workflows.adoption.import_lock import import_lock
    from envbuild.workflows.adoption.init import InitOptions
    from envbuild.workflows.machine import Machine

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    options = InitOptions(
        name=name, python=python, extras=tuple(extra or ()), groups=tuple(group or ()), base=base
    )
    with output.activity() as progress:
        result = import_lock(lock, options, machine=Machine(progress=progress))
    if as_json:
        output.document(result.document())
        return
    tell_init(output, result.init)
    for problem in result.dropped:
        output.note(f"not kept: {problem}")
    output.say(f"kept {len(result.kept)} versions of {lock.name}")
    output.say(f"wrote {result.locked.project.lock}")
    tell_next(output, result.locked.project, "build")
