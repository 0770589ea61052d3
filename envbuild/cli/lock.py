"""`envbuild lock`."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AllSpecs, AsJson, Offline, Quiet, SpecPath, Verbose

if TYPE_CHECKING:
    from pathlib import Path

    from envbuild.cli.output import Activity, Output
    from envbuild.lock.model import Lock
    from envbuild.resolve.resolvers import Resolvers
    from envbuild.workflows.lock import Outcome, Wish
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
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Resolve the spec to exact files.

    Writes `envbuild.lock` beside the spec; there is nothing to do when it answers the spec.
    """
    from envbuild.cli.output import Output
    from envbuild.errors import UsageError
    from envbuild.workflows.lock import Wish, lock_project
    from envbuild.workflows.project import open_project

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    wish = Wish(check=check, everything=upgrade, packages=frozenset(upgrade_package or ()), offline=offline)
    if check and (wish.everything or wish.packages):
        raise UsageError("--check writes nothing, so there is nothing to upgrade")
    if every:
        raise typer.Exit(_lock_all(output, spec, wish))
    outcome = lock_project(
        open_project(spec),
        wish,
        open_resolvers=_open_resolvers,
        activity=output.activity(),
        on_stale=lambda problem: output.detail(str(problem)),
    )
    _tell(output, outcome)


@contextmanager
def _open_resolvers() -> "Iterator[Resolvers]":
    from envbuild.resolve.live import open_resolvers

    with open_resolvers() as resolvers:
        yield resolvers


def _lock_all(output: "Output", spec: "Path | None", wish: "Wish") -> int:
    from envbuild.cli.many import document, projects_of, tell, work_on
    from envbuild.workflows.lock import lock_project

    outcomes: dict[Project, Outcome] = {}

    def work(project: "Project", activity: "Activity") -> str:
        outcomes[project] = outcome = lock_project(
            project,
            wish,
            open_resolvers=share,
            activity=nullcontext(activity),
            on_stale=lambda problem: output.detail(f"{project.folder}: {problem}"),
        )
        locked = "; ".join(_described(outcome.lock)) if outcome.written else "answers the spec"
        return f"wrote {outcome.project.lock.name}: {locked}" if outcome.written else locked

    @contextmanager
    def share() -> "Iterator[Resolvers]":
        from envbuild.resolve.shared import SharedResolvers

        yield SharedResolvers.of(_open_resolvers, answers)

    from envbuild.resolve.shared import Answers

    answers = Answers()
    results = work_on(projects_of(spec, every=True, frozen=False), work, output=output)
    if output.as_json:
        output.document(document(results, {project: _document(item) for project, item in outcomes.items()}))
    return tell(output, results)


def _tell(output: "Output", outcome: "Outcome") -> None:
    if output.as_json:
        output.document(_document(outcome))
    elif not outcome.written:
        output.say(f"{outcome.project.lock.name} answers the spec; nothing to do")
    else:
        for line in _described(outcome.lock):
            output.say(f"locked {line}")
        output.say(f"wrote {outcome.project.lock}")


def _document(outcome: "Outcome") -> dict[str, object]:
    from envbuild.lock.identity import target_digest

    lock = outcome.lock
    return {
        "lock": str(outcome.project.lock),
        "written": outcome.written,
        "targets": [
            {
                "variant": target.variant,
                "platform": target.platform,
                "target": target_digest(lock, target),
                "conda": len(target.conda),
                "wheels": len(target.wheels),
                "debs": len(target.debs) + len(lock.base_debs_of(lock.base(target))),
            }
            for target in lock.targets
        ],
    }


def _described(lock: "Lock") -> Iterator[str]:
    for target in lock.targets:
        base = lock.base(target)
        packages = f"{len(target.conda)} conda packages, " if target.conda else ""
        yield (
            f"{target.variant} on {target.platform}: {base.os.pretty_name}, "
            f"Python {target.interpreter.version}, {packages}{len(target.wheels)} wheels, "
            f"{len(lock.base_debs_of(base)) + len(target.debs)} debs"
        )
