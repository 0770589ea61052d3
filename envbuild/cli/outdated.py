"""`envbuild outdated`."""

from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AsJson, Frozen, PlatformOption, Quiet, SpecPath, Variant

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.packages.outdated import OutdatedResult, PackageUpdate


def outdated(
    *,
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    direct: Annotated[bool, typer.Option("--direct", help="Only packages that the spec names.")] = False,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code", help="Exit 1 when the spec allows a newer version, or the base has moved."
        ),
    ] = False,
    frozen: Frozen = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Refused: newer versions are not in the cache.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show locked packages that have newer versions.

    Asks the package indexes, the archives of the distribution, the channels of conda and the registry of the
    base image.  Nothing is changed.  ALLOWED is the newest version that the spec and the other packages
    allow: `envbuild upgrade` takes it.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.errors import ExitCode
    from envbuild.workflows.packages.outdated import OutdatedOptions, outdated_packages

    output = Output(quiet=quiet, as_json=as_json)
    options = OutdatedOptions(direct=direct, variant=variant, platform=platform, frozen=frozen)
    with output.activity() as progress:
        found = outdated_packages(
            project_of(spec, frozen=frozen), options, machine=command_machine(progress, offline=offline)
        )
    if as_json:
        output.document(found.document())
    else:
        _tell(output, found)
    if exit_code and found.is_outdated:
        raise typer.Exit(ExitCode.FAILURE)


def _tell(output: "Output", found: "OutdatedResult") -> None:
    rows = [_row(package) for package in found.outdated]
    if rows:
        output.columns(rows, header=("package", "kind", "locked", "allowed", "newest", "note"))
    checked = len(found.packages)
    target = f"{found.variant} on {found.platform}"
    if rows:
        security = f", {len(found.security)} with a security update" if found.security else ""
        output.say(f"{len(rows)} of {checked} packages have newer versions{security}: {target}")
    else:
        output.say(f"all {checked} packages are up to date: {target}")
    if found.base_state == "moved":
        output.note(f"{found.base} names another image now; `envbuild upgrade` takes it")
    if found.base_state == "gone":
        output.note(f"{found.base} is no longer in its registry")
    for reason in found.reasons:
        output.note(f"not known: {reason}")


def _row(package: "PackageUpdate") -> tuple[str, ...]:
    notes = list(package.notes)
    if package.security:
        fixed = "" if package.security == package.allowed else f" {package.security}"
        notes.insert(0, f"security update{fixed}")
    return (
        package.name,
        package.kind,
        package.locked,
        package.allowed or "?",
        package.newest or "?",
        "; ".join(notes),
    )
