"""`envbuild run --from`: what would be done is shown, and a person agrees."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.containers.options import RunOptions
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project
    from envbuild.workflows.runs.code import Checkout
    from envbuild.workflows.runs.plan import RunPlan

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="Recorded run to start again: mlflow:RUN_ID, wandb:FOLDER, tensorboard:FOLDER or dvc:REVISION.",
    ),
]
Into = Annotated[
    Path | None,
    typer.Option("--into", help="New folder for a clean checkout of the run's commit; with --from."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Start without asking; with --from.")]


def run_again(
    source: str,
    command: Sequence[str],
    options: "RunOptions",
    *,
    spec: Path | None,
    into: Path | None,
    yes: bool,
    offline: bool,
    quiet: bool,
    verbose: bool,
) -> NoReturn:
    """Start a recorded run again, and exit with its command's own code.

    :raises UsageError: nobody agrees to it, or the code here is another.
    :raises EnvbuildError: the run, its lock or its image cannot be had.
    """
    from envbuild.cli.containers import finish
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.errors import UsageError
    from envbuild.workflows.project import find_project
    from envbuild.workflows.runs.again import find_recorded, prepare_again, require_privileges
    from envbuild.workflows.runs.code import plan_checkout
    from envbuild.workflows.runs.data import link_data
    from envbuild.workflows.runs.plan import plan_run

    if options.lock:
        raise UsageError("--lock goes not with --from", hint="the run has its own lock: leave --lock out")
    output = Output(quiet=quiet, verbose=verbose)
    machine = command_machine(output.lines(), offline=offline)
    # a lock alone will do: what the spec asks for now does not matter
    project = project_of(spec, frozen=True) if spec else find_project(frozen=True)
    project = project.as_named() if project else None
    require_privileges(project, options.engine, machine)
    found = find_recorded(source, machine)
    if into is not None:
        origin = project
        project = _checked_out(plan_checkout(found, into, project, machine), machine, output, yes=yes)
        if origin is not None and options.data:
            link_data(found, project, origin, machine)
    plan = plan_run(found, project, command, options, machine)
    _agree(plan, output, yes=yes)
    finish(lambda watched: prepare_again(plan, watched), offline=offline, quiet=quiet, verbose=verbose)


def _checked_out(checkout: "Checkout", machine: "Machine", output: "Output", *, yes: bool) -> "Project":
    from envbuild.cli.project import project_of
    from envbuild.workflows.runs.code import check_out

    # what is here already needs no question
    if checkout.repository is None:
        _ask(output, f"fetch {checkout}?", yes=yes)
    output.say(f"checking out {checkout}")
    return project_of(check_out(checkout, machine), frozen=True)


def _agree(plan: "RunPlan", output: "Output", *, yes: bool) -> None:
    from envbuild.workflows.runs.again import plan_lines

    output.report(plan_lines(plan))
    if yes:
        plan.require_same_code()
    _ask(output, "start it?", yes=yes)


def _ask(output: "Output", question: str, *, yes: bool) -> None:
    from envbuild.cli.question import can_ask, confirm
    from envbuild.errors import ExitCode, UsageError

    if yes:
        return
    if not can_ask(output):
        raise UsageError(
            "a recorded run is started when somebody agrees to it, and nobody can be asked here",
            hint="read what would be done, then add --yes",
        )
    if not confirm(output, question):
        raise typer.Exit(ExitCode.FAILURE)
