"""`envbuild merge-driver`: git merges locks by what they mean.

Source: gitattributes(5), "Defining a custom merge driver".
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from envbuild.cli.options import Quiet

DRIVER = "envbuild"
ATTRIBUTE = f"envbuild.lock merge={DRIVER}"

app = typer.Typer(help="Merge locks by what they mean.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def install(*, quiet: Quiet = False) -> None:
    """Make git merge locks with envbuild, in this repository.

    Writes a line into .gitattributes, to be committed, and the driver into this clone's configuration, which
    every clone has to do for itself.
    """
    from envbuild.cli.output import Output
    from envbuild.files import atomic

    output = Output(quiet=quiet)
    root = Path(_git(["rev-parse", "--show-toplevel"]))
    attributes = root / ".gitattributes"
    text = attributes.read_text(encoding="utf-8") if attributes.exists() else ""
    if ATTRIBUTE not in text.splitlines():
        separator = "" if not text or text.endswith("\n") else "\n"
        atomic.write_text(attributes, f"{text}{separator}{ATTRIBUTE}\n")
        output.say(f"wrote `{ATTRIBUTE}` into .gitattributes: commit it")
    _git(["config", f"merge.{DRIVER}.name", "locks of envbuild"])
    _git(["config", f"merge.{DRIVER}.driver", "envbuild merge-driver run %O %A %B %P"])
    output.say("git merges locks with envbuild in this clone")


@app.command()
def run(
    base: Annotated[Path, typer.Argument(help="The common ancestor (%O).")],
    ours: Annotated[Path, typer.Argument(help="This side; the result is written to it (%A).")],
    theirs: Annotated[Path, typer.Argument(help="The other side (%B).")],
    name: Annotated[str, typer.Argument(help="Path of the lock in the repository (%P).")],
) -> None:
    """Merge three locks; what git calls.

    Exits 1 and leaves git's own merge with its markers when the two sides cannot be joined without resolving
    anew.
    """
    from envbuild.cli.output import Output
    from envbuild.errors import EnvbuildError, ExitCode
    from envbuild.files import atomic
    from envbuild.lock.codec import dumps, loads
    from envbuild.resolve.merge import join_locks

    output = Output()
    try:
        locks = [loads(path.read_text(encoding="utf-8")) for path in (base, ours, theirs)]
        merged = join_locks(*locks)
        lines = [f"  • {problem}" for problem in merged.conflicts]
    except (EnvbuildError, UnicodeDecodeError) as error:
        # one side is no lock this release reads: git may still merge its lines
        merged = None
        lines = [f"  • {getattr(error, 'message', error)}"]
    if merged is not None and merged.lock is not None:
        text = dumps(merged.lock)
        loads(text)
        atomic.write_text(ours, text)
        return
    output.say(f"envbuild cannot merge {name}:")
    for line in lines:
        output.say(line)
    output.say("take one side, merge the spec, and run `envbuild lock`: versions nobody changed stay")
    _merge_lines(base, ours, theirs)
    raise typer.Exit(ExitCode.FAILURE)


def _merge_lines(base: Path, ours: Path, theirs: Path) -> None:
    from envbuild import process

    labels = ["-L", "ours", "-L", "base", "-L", "theirs"]
    # its exit status is the number of conflicts
    process.run(["git", "merge-file", *labels, str(ours), str(base), str(theirs)], environment=os.environ)


def _git(arguments: list[str]) -> str:
    from envbuild import process
    from envbuild.errors import EnvbuildError

    try:
        result = process.run(["git", *arguments], environment=os.environ)
    except process.ProgramMissingError as error:
        raise EnvbuildError(error.message, hint="install git") from error
    if not result.succeeded:
        raise EnvbuildError(
            "git refused", hint="run this inside a git repository", detail=result.stderr.strip()
        )
    return result.stdout.rstrip("\n")
