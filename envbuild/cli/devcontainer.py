"""`envbuild devcontainer`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AllSpecs, AsJson, Frozen, Quiet, SpecPath, Verbose

if TYPE_CHECKING:
    from pathlib import Path

    from envbuild.cli.output import Activity, Output
    from envbuild.workflows.devcontainer import Choices
    from envbuild.workflows.project import Project


def devcontainer(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, ask nobody; exit 1 when a file would change.")
    ] = False,
    variant: Annotated[
        str | None,
        typer.Option("--variant", help="Which variant of the spec.", show_default="all, each in a folder"),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option("--platform", help="Which platform.", show_default="as written last, or this machine's"),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Build the image on each machine, even if it is pushed.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite values that were edited where they have to change.")
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", "-U", help="Take the newest release of each feature.")
    ] = False,
    spec: SpecPath = None,
    every: AllSpecs = False,
    frozen: Frozen = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a dev container of the lock.

    What people changed in it stays, comments too.  With --all those that are there are brought up to date,
    and no new one is written.
    """
    from envbuild.cli.output import Output
    from envbuild.errors import UsageError
    from envbuild.workflows.devcontainer import Choices
    from envbuild.workflows.project import open_project

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    if check and (replace or upgrade):
        raise UsageError("--check writes nothing, so there is nothing to replace or to upgrade")
    choices = Choices(
        variant=variant, platform=platform, local=local, replace=replace, upgrade=upgrade, asks=not check
    )
    wish = _Wish(choices, check=check, frozen=frozen)
    if every:
        raise typer.Exit(_all(output, spec, wish))
    with output.activity() as activity:
        done = _one(open_project(spec, frozen=frozen), wish, activity)
    for name in done.written:
        output.say(f"wrote {name}")
    if not done.written:
        output.say(done.summary if check else f"{done.summary}; nothing to do")
    if as_json:
        output.document(done.document())


@dataclass(frozen=True, slots=True)
class _Wish:
    choices: "Choices"
    check: bool
    frozen: bool


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of one project."""

    files: tuple[str, ...]
    written: tuple[str, ...]

    @property
    def summary(self) -> str:
        if self.written:
            return f"wrote {', '.join(self.written)}"
        return "the dev container is what lock and spec say"

    def document(self) -> dict[str, object]:
        return {"files": sorted(self.files), "written": list(self.written)}


def _one(project: "Project", wish: _Wish, activity: "Activity") -> _Done:
    """Write the dev container of a project, or only compare it."""
    from envbuild.errors import EnvbuildError
    from envbuild.workflows.devcontainer import plan_configurations, write
    from envbuild.workflows.project import fresh_lock

    lock = fresh_lock(project, frozen=wish.frozen)
    plan = plan_configurations(project, lock, wish.choices, activity)
    changed = tuple(path.relative_to(project.folder).as_posix() for path in plan.changed)
    if wish.check and changed:
        raise EnvbuildError(
            "the dev container is not what lock and spec say",
            hint="run `envbuild devcontainer`",
            detail=plan.difference(project.folder),
        )
    if not wish.check:
        write(plan)
    return _Done(tuple(path.relative_to(project.folder).as_posix() for path in plan.texts), changed)


def _all(output: "Output", spec: "Path | None", wish: _Wish) -> int:
    """Do so for every project that has a dev container of envbuild's."""
    from envbuild.cli.many import document, projects_of, tell, work_on
    from envbuild.workflows.devcontainer import is_written

    done: dict[Project, _Done] = {}

    def work(project: "Project", activity: "Activity") -> str:
        if not is_written(project):
            return "has none"
        done[project] = _one(project, wish, activity)
        return done[project].summary

    results = work_on(projects_of(spec, every=True, frozen=wish.frozen), work, output=output)
    if output.as_json:
        output.document(document(results, {project: item.document() for project, item in done.items()}))
    return tell(output, results)
