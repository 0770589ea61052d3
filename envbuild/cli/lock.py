"""`envbuild lock`."""

from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AllSpecs, AsJson, Offline, Quiet, SpecPath, Verbose

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.lock import LockResult


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
    from envbuild.workflows.lock import LockOptions, LockResult, lock_project, lock_projects
    from envbuild.workflows.machine import Machine

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    options = LockOptions(check=check, upgrade=upgrade, upgrade_packages=frozenset(upgrade_package or ()))
    if not every:
        with output.activity() as progress:
            locked = lock_project(
                project_of(spec),
                options,
                machine=Machine(offline=offline, progress=progress),
                on_stale=lambda _, problem: output.detail(str(problem)),
            )
        _tell(output, locked)
        return

    from envbuild.cli.many import tell_results
    from envbuild.workflows.many import open_projects

    results = lock_projects(
        open_projects(spec),
        options,
        machine=Machine(offline=offline, progress=output.lines()),
        on_stale=lambda project, problem: output.detail(f"{project.folder}: {problem}"),
    )
    raise typer.Exit(tell_results(output, results, summary=_summary, document=LockResult.document))


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
