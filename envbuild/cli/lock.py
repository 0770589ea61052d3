"""`envbuild lock`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.completion import complete_package, complete_platform
from envbuild.cli.next_step import tell_next
from envbuild.cli.options import AddBuilds, AllSpecs, AsJson, Offline, Quiet, SpecPath, Verbose

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.lock import LockOptions, LockResult
    from envbuild.workflows.project import Project


def lock(
    *,
    spec: SpecPath = None,
    every: AllSpecs = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; exit 4 when the lock is missing or out of date with the spec."
        ),
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", "-U", help="Take the newest of everything that satisfies the spec.")
    ] = False,
    upgrade_package: Annotated[
        list[str] | None,
        typer.Option(
            "--upgrade-package",
            "-P",
            help="Take the newest of this package, Python's or apt's.",
            autocompletion=complete_package,
        ),
    ] = None,
    add_builds: AddBuilds = False,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            help="Lock this platform alone.",
            show_default="all",
            autocompletion=complete_platform,
        ),
    ] = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Resolve the spec to exact files.

    Writes `envbuild.lock` beside the spec; does nothing when it is up to date.
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
    from envbuild.cli.question import with_builds_asked
    from envbuild.workflows.lock import lock_project

    def lock(*, add_builds: bool) -> "LockResult":
        with output.activity() as progress:
            return lock_project(
                project,
                replace(options, add_builds=options.add_builds or add_builds),
                machine=command_machine(progress, offline=offline),
                on_stale=lambda _, problem: output.detail(str(problem)),
            )

    return lock(add_builds=False) if options.check else with_builds_asked(output, lock)


def _tell(output: "Output", result: "LockResult") -> None:
    if output.as_json:
        output.document(result.document())
    elif not result.written:
        output.say(f"{result.project.lock.name} is up to date")
    else:
        for target in result.targets:
            output.say(f"locked {target}")
        output.say(f"wrote {result.project.lock}")
        tell_next(output, result.project, "build")


def _summary(result: "LockResult") -> str:
    if not result.written:
        return "answers the spec"
    return f"wrote {result.project.lock.name}: {'; '.join(map(str, result.targets))}"
