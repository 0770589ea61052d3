"""`envbuild add`, `envbuild remove` and `envbuild upgrade`."""

from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.completion import complete_package
from envbuild.cli.editing import DryRun, Group, NoLock, VariantOnly, run_edit
from envbuild.cli.options import AddBuilds, AsJson, Offline, Quiet, SpecPath, Verbose
from envbuild.cli.output import Output

if TYPE_CHECKING:
    from envbuild.workflows.editing.edit import Locking
    from envbuild.workflows.editing.result import EditResult
    from envbuild.workflows.project import Project


def add(
    *,
    packages: Annotated[
        list[str], typer.Argument(help="Packages, with or without a version.", show_default=False)
    ],
    apt: Annotated[bool, typer.Option("--apt", help="Packages of the distribution.")] = False,
    conda: Annotated[bool, typer.Option("--conda", help="Packages of conda.")] = False,
    variant: VariantOnly = None,
    group: Group = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="The file to write to, where the spec names several.", show_default=False),
    ] = None,
    no_lock: NoLock = False,
    dry_run: DryRun = False,
    add_builds: AddBuilds = False,
    spec: SpecPath = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Add packages to the spec, and lock.

    They are Python packages unless --apt or --conda says otherwise. A package that is there already is
    replaced. When the spec cannot be locked, nothing is changed.
    """
    from envbuild.workflows.editing.add import add_and_lock
    from envbuild.workflows.editing.options import AddOptions, kind_of_flags

    kind = kind_of_flags(apt=apt, conda=conda) or "pip"

    def edit(project: "Project", locking: "Locking", *, add_builds: bool) -> "EditResult":
        options = AddOptions(
            kind=kind,
            variant=variant,
            group=group,
            to=to,
            lock=not no_lock,
            dry_run=dry_run,
            add_builds=add_builds,
        )
        return add_and_lock(project, packages, options, locking)

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    run_edit(output, edit, spec=spec, offline=offline, add_builds=add_builds)


def remove(
    *,
    packages: Annotated[
        list[str],
        typer.Argument(help="Names of packages.", show_default=False, autocompletion=complete_package),
    ],
    pip: Annotated[bool, typer.Option("--pip", help="Python packages alone.")] = False,
    apt: Annotated[bool, typer.Option("--apt", help="Packages of the distribution alone.")] = False,
    conda: Annotated[bool, typer.Option("--conda", help="Packages of conda alone.")] = False,
    variant: VariantOnly = None,
    group: Group = None,
    no_lock: NoLock = False,
    dry_run: DryRun = False,
    add_builds: AddBuilds = False,
    spec: SpecPath = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Remove packages from the spec, and lock.

    They are removed wherever the spec asks for them. When the spec cannot be locked, nothing is changed.
    """
    from envbuild.workflows.editing.options import RemoveOptions, kind_of_flags
    from envbuild.workflows.editing.remove import remove_and_lock

    kind = kind_of_flags(pip=pip, apt=apt, conda=conda)

    def edit(project: "Project", locking: "Locking", *, add_builds: bool) -> "EditResult":
        options = RemoveOptions(
            kind=kind,
            variant=variant,
            group=group,
            lock=not no_lock,
            dry_run=dry_run,
            add_builds=add_builds,
        )
        return remove_and_lock(project, packages, options, locking)

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    run_edit(output, edit, spec=spec, offline=offline, add_builds=add_builds)


def upgrade(
    *,
    packages: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of packages.", show_default="all packages", autocompletion=complete_package
        ),
    ] = None,
    dry_run: DryRun = False,
    add_builds: AddBuilds = False,
    spec: SpecPath = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Lock the newest packages that satisfy the spec.

    All packages, or those named: of Python, the distribution or conda. The spec stays as it is.
    """
    from envbuild.workflows.editing.options import UpgradeOptions
    from envbuild.workflows.editing.upgrade import upgrade_and_lock

    def edit(project: "Project", locking: "Locking", *, add_builds: bool) -> "EditResult":
        options = UpgradeOptions(dry_run=dry_run, add_builds=add_builds)
        return upgrade_and_lock(project, packages or (), options, locking)

    run_edit(
        Output(quiet=quiet, verbose=verbose, as_json=as_json),
        edit,
        spec=spec,
        offline=offline,
        add_builds=add_builds,
        nothing="nothing newer satisfies the spec",
    )
