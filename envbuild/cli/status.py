"""`envbuild status`."""

from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AllSpecs, AsJson, Quiet, SpecPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envbuild.image.engine import ImageFacts
    from envbuild.workflows.status import Standing


def status(
    *,
    spec: SpecPath = None,
    every: AllSpecs = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 when a lock or a base is no longer what it was.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show how locks stand today.

    Whether each answers its spec, its images are built and pushed, and its base's tag still names what was
    locked.  Nothing is changed, and what cannot be reached is shown as unknown.
    """
    from functools import cache

    from envbuild.cli.many import projects_of, shown
    from envbuild.cli.output import Output, aligned
    from envbuild.errors import EnvbuildError, ExitCode
    from envbuild.image.docker.engine import DockerEngine
    from envbuild.oci.reference import parse_reference
    from envbuild.remote.registry.client import RegistryClient
    from envbuild.workflows.status import standings_of, unusable

    output = Output(quiet=quiet, as_json=as_json)
    registry, engine = RegistryClient(), DockerEngine()

    @cache
    def digest_of(reference: str) -> str | None:
        return registry.digest_of(parse_reference(reference))

    def find_image(reference: str) -> "ImageFacts | None":
        return engine.find(reference)

    found: list[tuple[str, Standing]] = []
    for project in projects_of(spec, every=every, frozen=False):
        try:
            standings = tuple(standings_of(project, find_image=find_image, digest_of=digest_of))
        except EnvbuildError as error:
            if not every:
                raise
            # the others have a status too
            standings = (unusable(project, error),)
        found += [(shown(project), standing) for standing in standings]
    if as_json:
        output.document([_document(where, standing) for where, standing in found])
    else:
        header = ("spec", "target", "lock", "image", "registry", "base")
        for line in aligned([_row(where, standing) for where, standing in found], header=header):
            output.data(line)
        for note in dict.fromkeys(note for _, standing in found for note in _notes(standing)):
            output.note(note)
    if exit_code and any(standing.drifted for _, standing in found):
        raise typer.Exit(ExitCode.FAILURE)


def _row(where: str, standing: "Standing") -> tuple[str, ...]:
    if standing.lock_state != "there":
        return (where, "-", standing.lock_state, "-", "-", "-")
    built = {True: "built", False: "not built", None: "unknown"}[standing.built]
    return (
        where,
        f"{standing.variant} on {standing.platform}",
        f"stale: {len(standing.stale)} fields" if standing.stale else "answers the spec",
        f"{standing.reference.rpartition(':')[2]} {built}",
        standing.pushed.removeprefix("sha256:")[:12] if standing.pushed else "-",
        f"{standing.base} {standing.base_state}",
    )


def _notes(standing: "Standing") -> "Iterator[str]":
    if standing.stale:
        yield f"run `envbuild lock`: {'; '.join(map(str, standing.stale))}"
    if standing.base_state == "moved":
        yield f"{standing.base} names another image now; `envbuild lock --upgrade` takes it"
    if standing.base_state == "gone":
        yield f"{standing.base} is no longer in its registry: mirror the locked image while an engine has it"
    if standing.why:
        yield standing.why


def _document(where: str, standing: "Standing") -> dict[str, object]:
    is_there = standing.lock_state == "there"
    base = {"reference": standing.base, "state": standing.base_state}
    return {
        "spec": where,
        "variant": standing.variant if is_there else None,
        "platform": standing.platform if is_there else None,
        "reference": standing.reference if is_there else None,
        "lock": standing.lock_state,
        "stale": [str(problem) for problem in standing.stale],
        "built": standing.built,
        "pushed": standing.pushed,
        "base": base if is_there else None,
        "drifted": standing.drifted,
        "unknown-because": standing.why,
    }
