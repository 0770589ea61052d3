"""`envbuild lock`."""

from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AsJson, Offline, Quiet, SpecPath, Verbose

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.cli.project import Project
    from envbuild.errors import Problem
    from envbuild.lock.model import Lock
    from envbuild.spec.request import Request


def lock(
    *,
    spec: SpecPath = None,
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
    from envbuild.cli.project import find_project
    from envbuild.errors import LockMissingError, NetworkError, UsageError
    from envbuild.lock.freshness import stale_fields
    from envbuild.spec.normalize import request_of

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    packages = frozenset(upgrade_package or ())
    if check and (upgrade or packages):
        raise UsageError("--check writes nothing, so there is nothing to upgrade")
    project = find_project(spec)
    request = request_of(project.spec)
    previous = _previous(project)
    stale = stale_fields(request, previous.request) if previous else ()
    if previous and not stale and not upgrade and not packages:
        _tell(output, project, previous, written=False)
        return
    if check:
        if previous is None:
            raise LockMissingError(f"there is no {project.lock.name}", hint="run `envbuild lock`")
        raise _stale(project, stale)
    if offline:
        raise NetworkError(
            "locking asks the index, the archive and the registry",
            hint="run `envbuild lock` with a network, then the other commands with --offline",
        )
    for problem in stale:
        output.detail(str(problem))
    written = _resolve(output, project, request, previous, everything=upgrade, packages=packages)
    _tell(output, project, written, written=True)


def _previous(project: "Project") -> "Lock | None":
    from envbuild.cli.project import read_lock

    return read_lock(project.lock) if project.lock.exists() else None


def _stale(project: "Project", problems: "tuple[Problem, ...]") -> Exception:
    from envbuild.errors import LockStaleError

    return LockStaleError(
        f"{project.lock.name} does not answer {project.spec.name} any more",
        hint="run `envbuild lock`",
        problems=problems,
    )


def _resolve(
    output: "Output",
    project: "Project",
    request: "Request",
    previous: "Lock | None",
    *,
    everything: bool,
    packages: frozenset[str],
) -> "Lock":
    from envbuild import atomic
    from envbuild.cli.resolving import open_resolvers
    from envbuild.lock.codec import dumps
    from envbuild.resolve.environment import Upgrade, lock_environment

    with output.activity() as activity, open_resolvers() as resolvers:
        lock = lock_environment(
            request,
            previous=previous,
            resolvers=resolvers,
            upgrade=Upgrade(everything, packages),
            progress=activity,
        )
    atomic.write_text(project.lock, dumps(lock))
    return lock


def _tell(output: "Output", project: "Project", lock: "Lock", *, written: bool) -> None:
    if output.as_json:
        from envbuild.lock.identity import target_digest

        output.document(
            {
                "lock": str(project.lock),
                "written": written,
                "targets": [
                    {
                        "variant": target.variant,
                        "platform": target.platform,
                        "target": target_digest(lock, target),
                        "wheels": len(target.wheels),
                        "debs": len(target.debs) + len(lock.base_debs_of(lock.base(target))),
                    }
                    for target in lock.targets
                ],
            }
        )
        return
    if not written:
        output.say(f"{project.lock.name} answers the spec; nothing to do")
        return
    for target in lock.targets:
        base = lock.base(target)
        output.say(
            f"locked {target.variant} on {target.platform}: {base.os.pretty_name}, "
            f"Python {target.interpreter.version}, {len(target.wheels)} wheels, "
            f"{len(lock.base_debs_of(base)) + len(target.debs)} debs"
        )
    output.say(f"wrote {project.lock}")
