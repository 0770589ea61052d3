"""`envbuild lock`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AllSpecs, AsJson, Offline, Quiet, SpecPath, Verbose

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.lock import LockOptions, LockResult
    from envbuild.workflows.project import Project


def lock(
    *,
    spec: SpecPath = None,
    every: AllSpecs = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 4 when the lock does not answer the spec.")
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", "-U", help="Take the newest of everything that satisfies the spec.")
    ] = False,
    upgrade_package: Annotated[
        list[str] | None,
        typer.Option("--upgrade-package", "-P", help="Take the newest of this package, Python's or apt's."),
    ] = None,
    add_builds: Annotated[
        bool,
        typer.Option(
            "--add-builds", help="Write what must be built from source into the spec, and build it."
        ),
    ] = False,
    platform: Annotated[
        str | None, typer.Option("--platform", help="Lock this platform alone.", show_default="all")
    ] = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Resolve the spec to exact files.

    Writes `envbuild.lock` beside the spec; there is nothing to do when it answers the spec.
    """
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.workflows.lock import LockOptions, LockResult, lock_projects

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    options = LockOptions(
        check=check,
        upgrade=upgrade,
        upgrade_packages=frozenset(upgrade_package or ()),
        add_builds=add_builds,
        platform=platform,
    )
    if not every:
        _tell(output, _lock(output, project_of(spec), options, offline=offline))
        return

    from envbuild.cli.machine import command_machine
    from envbuild.cli.many import tell_results
    from envbuild.workflows.many import open_projects

    results = lock_projects(
        open_projects(spec),
        options,
        machine=command_machine(output.lines(), offline=offline),
        on_stale=lambda project, problem: output.detail(f"{project.folder}: {problem}"),
    )
    raise typer.Exit(tell_results(output, results, summary=_summary, document=LockResult.document))


def _lock(output: "Output", project: "Project", options: "LockOptions", *, offline: bool) -> "LockResult":
    """Lock one project; on a terminal, ask whether packages may be built from source."""
    from envbuild.cli.machine import command_machine
    from envbuild.cli.question import can_ask, confirm
    from envbuild.errors import SourcesNeededError
    from envbuild.workflows.lock import lock_project

    def lock(options: "LockOptions") -> "LockResult":
        with output.activity() as progress:
            return lock_project(
                project,
                options,
                machine=command_machine(progress, offline=offline),
                on_stale=lambda _, problem: output.detail(str(problem)),
            )

    try:
        return lock(options)
    except SourcesNeededError as error:
        if options.check or not can_ask(output):
            raise
        output.error(error)
        if not confirm(output, f"build {', '.join(error.packages)} from source?"):
            raise typer.Exit(error.exit_code) from error
    return lock(replace(options, add_builds=True))


def _tell(output: "Output", result: "LockResult") -> None:
    if output.as_json:
        output.document(result.document())
    elif not result.written:
        output.say(f"{result.project.lock.name} answers the spec; nothing to do")
    else:
        for target in result.targets:
            output.say(f"locked {target}")
        output.say(f"wrote {result.project.lock}")


def _summary(result: "LockResult") -> str:
    if not result.written:
        return "answers the spec"
    return f"wrote {result.project.lock.name}: {'; '.join(map(str, result.targets))}"
