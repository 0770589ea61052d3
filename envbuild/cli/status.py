"""`envbuild status`."""

from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AllSpecs, AsJson, EngineOption, Quiet, SpecPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envbuild.workflows.status import TargetStatus


def status(
    *,
    spec: SpecPath = None,
    every: AllSpecs = False,
    engine: EngineOption = None,
    remote: Annotated[
        bool,
        typer.Option("--remote", help="Ask registries too: is the image pushed, and has the base moved?"),
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code", help="Exit 1 when a lock is out of date, or with --remote a base has moved."
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show whether locks, images and bases are up to date.

    Whether each lock answers its spec, and whether the engine holds its images.  Nothing is changed, and
    without --remote nothing is sent over the network.  What cannot be reached is shown as unknown.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.many import projects_of
    from envbuild.cli.output import Output, aligned
    from envbuild.errors import ExitCode
    from envbuild.workflows.status import StatusOptions, statuses_of

    output = Output(quiet=quiet, as_json=as_json)
    projects = projects_of(spec, every=every, frozen=False)
    options = StatusOptions(engine=engine, remote=remote)
    # with --all, the others have a status too
    found = tuple(statuses_of(projects, options, machine=command_machine(), unusable_too=every))
    if as_json:
        output.document([entry for project in found for entry in project.document()])
    else:
        rows = [_row(one.project.label, target) for one in found for target in one.targets]
        for line in aligned(rows, header=("spec", "target", "lock", "image", "registry", "base")):
            output.data(line)
        notes = (note for one in found for target in one.targets for note in _notes(target))
        for note in dict.fromkeys(notes):
            output.note(note)
    if exit_code and any(one.drifted for one in found):
        raise typer.Exit(ExitCode.FAILURE)


def _row(where: str, target: "TargetStatus") -> tuple[str, ...]:
    from envbuild.workflows.sizes import counted

    if target.lock_state != "there":
        return (where, "-", target.lock_state, "-", "-", "-")
    return (
        where,
        f"{target.variant} on {target.platform}",
        f"stale: {counted(len(target.stale), 'field')}" if target.stale else "answers the spec",
        f"{target.reference.rpartition(':')[2]} {target.image_state}",
        target.pushed.removeprefix("sha256:")[:12] if target.pushed else "-",
        f"{target.base} {target.base_state}",
    )


def _notes(target: "TargetStatus") -> "Iterator[str]":
    if target.stale:
        yield f"run `envbuild lock`: {'; '.join(map(str, target.stale))}"
    if target.image_state == "older format":
        yield f"{target.reference} was built in an older format; rebuild it with `envbuild build`"
    if target.base_state == "moved":
        yield f"{target.base} names another image now; `envbuild lock --upgrade` takes it"
    if target.base_state == "gone":
        yield f"{target.base} is no longer in its registry: mirror the locked image while an engine has it"
    if target.why:
        yield target.why
